"""QGIS itself, headless: a program of the system's Python, for which PyQGIS is made (3.11: nothing newer).

A JSON call a line in, ``[NAME, [ARGUMENT…], {NAME: ARGUMENT…}]``, a JSON answer a line out. What QGIS wrote
to its log at the level of a warning meanwhile stands in the answer's ``said``. Layers stay open between
calls, as in a project that somebody works in.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

from qgis.core import (
    NULL,
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsField,
    QgsGeometry,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsSymbol,
    QgsVectorLayer,
    QgsVectorTileBasicRenderer,
    QgsVectorTileBasicRendererStyle,
    QgsVectorTileLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QDateTime, QIODevice, QSize, Qt, QVariant
from qgis.PyQt.QtGui import QColor

TYPES = {"string": QVariant.String, "integer": QVariant.LongLong, "number": QVariant.Double}


class Program:
    """The open layers, by the name that the caller gave them."""

    def __init__(self) -> None:
        self.layers: dict[str, Any] = {}

    # Layers

    def open(self, name: str, source: str, provider: str) -> dict[str, Any]:
        """Open a layer; what QGIS makes of it."""
        makers = {"gdal": QgsRasterLayer, "wms": QgsRasterLayer, "vectortile": QgsVectorTileLayer}
        maker = makers.get(provider, QgsVectorLayer)
        layer = maker(source, name) if provider == "vectortile" else maker(source, name, provider)
        if not layer.isValid():
            raise ValueError(f"QGIS cannot open {source}: {layer.error().message()}")
        self.layers[name] = layer
        QgsProject.instance().addMapLayer(layer, False)
        return self.about(name)

    def about(self, name: str) -> dict[str, Any]:
        """CRS, extent and, of features, fields, count and what may be edited."""
        layer = self.layers[name]
        box = layer.extent()
        found = {
            "crs": layer.crs().authid(),
            "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        }
        if isinstance(layer, QgsVectorLayer):
            offers = layer.dataProvider().capabilities()
            found["fields"] = [[f.name(), f.typeName()] for f in layer.fields()]
            found["count"] = layer.featureCount()
            found["geometry"] = QgsWkbTypes.displayString(layer.wkbType())
            found["editable"] = bool(offers & layer.dataProvider().ChangeAttributeValues)
        if isinstance(layer, QgsRasterLayer):
            found["size"] = [layer.width(), layer.height()]
            found["bands"] = layer.bandCount()
        return found

    def close(self, name: str) -> None:
        """Take a layer out of the project."""
        layer = self.layers.pop(name)
        QgsProject.instance().removeMapLayer(layer.id())

    def tables(self, path: str) -> list[str]:
        """The tables of a GeoPackage from which layers are picked, as the browser lists them."""
        connection = QgsProviderRegistry.instance().providerMetadata("ogr").createConnection(path, {})
        return sorted(one.tableName() for one in connection.tables())

    # Features

    def subset(self, name: str, expression: str) -> None:
        """Filter a layer, as by its menu."""
        if not self.layers[name].setSubsetString(expression):
            raise ValueError(f"QGIS does not filter by {expression}")

    def features(
        self,
        name: str,
        box: list[float] | None = None,
        expression: str | None = None,
    ) -> list[dict[str, Any]]:
        """The features of a layer: in a box of its own CRS, those for which an expression is true."""
        request = QgsFeatureRequest()
        if box is not None:
            request.setFilterRect(QgsRectangle(*box))
        if expression is not None:
            request.setFilterExpression(expression)
        layer = self.layers[name]
        names = layer.fields().names()
        return [
            {
                "wkb": bytes(one.geometry().asWkb()).hex() if one.hasGeometry() else None,
                "values": dict(zip(names, map(plain, one.attributes()), strict=True)),
            }
            for one in layer.getFeatures(request)
        ]

    def edit(self, name: str, steps: list[list[Any]], commit: bool = True) -> list[int]:
        """Do edits in one session of a layer and save them; the fids of features that were added. Features
        are named by their field "fid": QGIS has numbers of its own for rows whose key is a bigint.

        Without ``commit`` they stay unsaved (in a transaction of a project: written, not committed)."""
        layer = self.layers[name]
        if not layer.isEditable() and not layer.startEditing():
            raise ValueError("QGIS does not begin to edit")
        added: list[int] = []

        def hear(_: str, made: list[Any]) -> None:
            added.extend(number(one) for one in made)

        layer.committedFeaturesAdded.connect(hear)
        try:
            for step, *words in steps:
                if not getattr(self, f"_{step}")(layer, *words):
                    raise ValueError(f"QGIS does not {step} {words}")
            if commit:
                self.save(name)
        finally:
            layer.committedFeaturesAdded.disconnect(hear)
        return list(dict.fromkeys(added))

    def save(self, name: str) -> None:
        """Save what was edited."""
        layer = self.layers[name]
        if not layer.commitChanges():
            told = "; ".join(layer.commitErrors())
            layer.rollBack()
            raise ValueError(told)

    def cancel(self, name: str) -> None:
        """Drop what was edited and not saved."""
        self.layers[name].rollBack()

    def together(self) -> None:
        """Have the project edit layers of one database in one transaction."""
        QgsProject.instance().setAutoTransaction(True)

    def save_together(self, name: str) -> None:
        """Save a layer of such a transaction, and so all of it."""
        self.save(name)
        QgsApplication.processEvents()
        QgsProject.instance().setAutoTransaction(False)

    def style(self, name: str, title: str) -> None:
        """Save a layer's style to the store it lies in, where QGIS makes a table for it."""
        told = self.layers[name].saveStyleToDatabase(title, "", True, "")
        if told:
            raise ValueError(told)

    def _set(self, layer: Any, fid: int, field: str, value: Any) -> bool:
        return bool(layer.changeAttributeValue(known(layer, fid), layer.fields().indexOf(field), value))

    def _move(self, layer: Any, fid: int, east: float, north: float) -> bool:
        shape = layer.getFeature(known(layer, fid)).geometry()
        shape.translate(east, north)
        return bool(layer.changeGeometry(known(layer, fid), shape))

    def _split(self, layer: Any, fid: int, line: list[list[float]]) -> bool:
        """Cut a feature along a line, as the tool does: it keeps one part, a new feature gets the other."""
        layer.selectByIds([known(layer, fid)])
        done = layer.splitFeatures([QgsPointXY(*one) for one in line], False)
        layer.removeSelection()
        return done == Qgis.GeometryOperationResult.Success

    def _add(self, layer: Any, wkt: str, values: dict[str, Any]) -> bool:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        for field, value in values.items():
            feature.setAttribute(field, value)
        return bool(layer.addFeature(feature))

    def _delete(self, layer: Any, fid: int) -> bool:
        return bool(layer.deleteFeature(known(layer, fid)))

    def _field(self, layer: Any, name: str, kind: str) -> bool:
        types = [one for one in layer.dataProvider().nativeTypes() if one.mType == TYPES[kind]]
        chosen = next((one for one in types if one.mTypeName == "text"), types[0])
        return bool(layer.addAttribute(QgsField(name, TYPES[kind], chosen.mTypeName, min(chosen.mMaxLen, 0))))

    def _rename(self, layer: Any, name: str, other: str) -> bool:
        return bool(layer.renameAttribute(layer.fields().indexOf(name), other))

    def _unfield(self, layer: Any, name: str) -> bool:
        return bool(layer.deleteAttribute(layer.fields().indexOf(name)))

    # Rasters and pictures

    def values(self, name: str, box: list[float], width: int, height: int, band: int = 1) -> list[Any]:
        """The values of a raster layer in a box, row by row from the north: numbers, None where there is
        none; of pictures [red, green, blue, alpha]."""
        provider = self.layers[name].dataProvider()
        block = provider.block(band, QgsRectangle(*box), width, height)
        if not block.isValid():
            raise ValueError("QGIS has no values there")
        cells = ((row, column) for row in range(height) for column in range(width))
        if provider.dataType(band) in (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied):
            return [list(QColor.fromRgba(block.color(*at)).getRgb()) for at in cells]
        return [None if block.isNoData(*at) else block.value(*at) for at in cells]

    def paint(self, name: str, styles: list[list[str]]) -> None:
        """Style vector tiles: (layer, geometry, expression, colour) each; nothing else is drawn."""
        kinds = {
            "polygon": QgsWkbTypes.PolygonGeometry,
            "line": QgsWkbTypes.LineGeometry,
            "point": QgsWkbTypes.PointGeometry,
        }
        made = []
        for layer, kind, expression, colour in styles:
            symbol = QgsSymbol.defaultSymbol(kinds[kind])
            symbol.setColor(QColor(colour))
            style = QgsVectorTileBasicRendererStyle(expression, layer, kinds[kind])
            style.setFilterExpression(expression)
            style.setSymbol(symbol)
            style.setEnabled(True)
            made.append(style)
        renderer = QgsVectorTileBasicRenderer()
        renderer.setStyles(made)
        self.layers[name].setRenderer(renderer)

    def draw(self, name: str, box: list[float], width: int, height: int, crs: str = "EPSG:3857") -> str:
        """A picture of a layer: a PNG file in hexadecimal digits."""
        settings = QgsMapSettings()
        settings.setLayers([self.layers[name]])
        settings.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
        settings.setExtent(QgsRectangle(*box))
        settings.setOutputSize(QSize(width, height))
        settings.setBackgroundColor(QColor("white"))
        settings.setFlag(QgsMapSettings.Antialiasing, False)
        job = QgsMapRendererSequentialJob(settings)
        job.start()
        job.waitForFinished()
        faults = [f"{one.layerID}: {one.message}" for one in job.errors()]
        if faults:
            raise ValueError("; ".join(faults))
        content = QByteArray()
        buffer = QBuffer(content)
        buffer.open(QIODevice.WriteOnly)
        job.renderedImage().save(buffer, "PNG")
        return bytes(content).hex()


def known(layer: Any, fid: int) -> int:
    """The number that QGIS has for a row."""
    for feature in layer.getFeatures(QgsFeatureRequest().setFilterExpression(f'"fid" = {fid}')):
        return int(feature.id())
    raise ValueError(f"QGIS sees no feature {fid}")


def number(feature: Any) -> int:
    """The number of a row that was saved: its field, where the store told it, else what QGIS has of it."""
    value = feature.attribute("fid")
    return value if isinstance(value, int) else int(feature.id())


def plain(value: Any) -> Any:
    """A value of a feature as JSON has it."""
    if value is None or value == NULL:
        return None
    if isinstance(value, QDateTime):
        return value.toUTC().toString(Qt.ISODateWithMs)
    if hasattr(value, "toString"):
        return value.toString(Qt.ISODate)
    return value


def main() -> None:
    """Answer calls until the input ends. Argument: a folder for QGIS's settings and caches."""
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False, sys.argv[1])
    application.initQgis()
    said: list[str] = []

    def hear(message: str, tag: str, level: int) -> None:
        # of a new column in PostgreSQL it begins a transaction within its own
        if level in (Qgis.Warning, Qgis.Critical) and not message.startswith("NOTICE"):
            said.append(f"{tag}: {message}")

    QgsApplication.messageLog().messageReceived.connect(hear)
    program = Program()
    print(json.dumps({"answer": Qgis.QGIS_VERSION}), flush=True)
    for line in sys.stdin:
        name, words, named = json.loads(line)
        said.clear()
        try:
            answer = {"answer": getattr(program, name)(*words, **named)}
        except ValueError as error:
            answer = {"error": str(error)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        application.processEvents()
        print(json.dumps({**answer, "said": said}), flush=True)
    QgsProject.instance().clear()
    program.layers.clear()
    application.exitQgis()


if __name__ == "__main__":
    main()
