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
    QgsTransaction,
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
        self.transaction: Any = None

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

    def sublayers(self, path: str) -> list[str]:
        """The layers that QGIS offers of a file."""
        found = QgsProviderRegistry.instance().querySublayers(path)
        return sorted(one.name() for one in found)

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
        fids: list[int] | None = None,
    ) -> list[dict[str, Any]]:
        """The features of a layer: in a box of its own CRS, those for which an expression is true, by fid."""
        request = QgsFeatureRequest()
        if box is not None:
            request.setFilterRect(QgsRectangle(*box))
        if expression is not None:
            request.setFilterExpression(expression)
        if fids is not None:
            request.setFilterFids(fids)
        layer = self.layers[name]
        names = layer.fields().names()
        return [
            {
                "fid": one.id(),
                "wkb": bytes(one.geometry().asWkb()).hex() if one.hasGeometry() else None,
                "values": dict(zip(names, map(plain, one.attributes()), strict=True)),
            }
            for one in layer.getFeatures(request)
        ]

    def edit(self, name: str, steps: list[list[Any]], commit: bool = True) -> list[int]:
        """Do edits in one session of a layer and save them; the fids of features that were added.

        Without ``commit`` they stay unsaved (in a transaction of a project: written, not committed)."""
        layer = self.layers[name]
        if not layer.isEditable() and not layer.startEditing():
            raise ValueError("QGIS does not begin to edit")
        added: list[int] = []
        layer.committedFeaturesAdded.connect(lambda _, made: added.extend(one.id() for one in made))
        for step, *words in steps:
            if not getattr(self, f"_{step}")(layer, *words):
                raise ValueError(f"QGIS does not {step} {words}")
        if commit:
            self.save(name)
        return added

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

    def begin(self, names: list[str]) -> None:
        """Edit layers of one database in one transaction, as a project with automatic transactions does."""
        self.transaction = QgsTransaction.create([self.layers[one] for one in names])
        done, told = self.transaction.begin()
        if not done:
            raise ValueError(told)

    def end(self) -> None:
        """Commit that transaction."""
        done, told = self.transaction.commit()
        self.transaction = None
        if not done:
            raise ValueError(told)

    def style(self, name: str, title: str) -> None:
        """Save a layer's style to the store it lies in, where QGIS makes a table for it."""
        told = self.layers[name].saveStyleToDatabase(title, "", True, "")
        if told:
            raise ValueError(told)

    def _set(self, layer: Any, fid: int, field: str, value: Any) -> bool:
        return bool(layer.changeAttributeValue(fid, layer.fields().indexOf(field), value))

    def _move(self, layer: Any, fid: int, east: float, north: float) -> bool:
        shape = layer.getFeature(fid).geometry()
        shape.translate(east, north)
        return bool(layer.changeGeometry(fid, shape))

    def _shape(self, layer: Any, fid: int, wkt: str) -> bool:
        return bool(layer.changeGeometry(fid, QgsGeometry.fromWkt(wkt)))

    def _split(self, layer: Any, fid: int, line: list[list[float]]) -> bool:
        """Cut a feature along a line, as the tool does: it keeps one part, a new feature gets the other."""
        layer.selectByIds([fid])
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
        return bool(layer.deleteFeature(fid))

    def _field(self, layer: Any, name: str, kind: str) -> bool:
        return bool(layer.addAttribute(QgsField(name, TYPES[kind])))

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
        if level in (Qgis.Warning, Qgis.Critical):
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
