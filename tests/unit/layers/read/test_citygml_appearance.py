"""Textures and colours of CityGML: where an image lies on a surface, and what is told of it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree
from PIL import Image, TiffImagePlugin

from layers import guard
from layers.batch import MESH, SOURCE_ID
from layers.guard import Reading
from layers.mesh import Mesh, Surface
from tests import gml
from tests.textured import QUARTERS, image

APP = 'xmlns:app="http://www.opengis.net/citygml/appearance/2.0"'
#: South-west, south-east, north-east, north-west of the image, as CityGML counts (v goes up).
WHOLE = "0 0 1 0 1 1 0 1 0 0"


#: Where an image of 64 pixels of a quarter of a metre lies whose middle is that of the roof, 10 x 6 m.
_WHERE = b"0.25\n0\n0\n-0.25\n399997.125\n6700010.875\n"
_URI = "<app:imageURI>a.png</app:imageURI>"
_POINT = (
    "<app:imageURI>a.png</app:imageURI><app:referencePoint><gml:Point>"
    "<gml:pos>399997.125 6700010.875</gml:pos></gml:Point></app:referencePoint>"
    "<app:orientation>{}</app:orientation>"
)


def _ringed(text: str) -> str:
    """The same model, each ring with an id: that of its polygon and an ``r``."""
    root = etree.fromstring(text.encode())
    for polygon in root.iter("{*}Polygon"):
        for ring in polygon.iter("{*}LinearRing"):
            ring.set("{http://www.opengis.net/gml}id", f"{polygon.get('{http://www.opengis.net/gml}id')}r")
    return str(etree.tostring(root, encoding="unicode"))


def _texture(uri: str, targets: dict[str, str], theme: str = "rgb") -> str:
    coordinates = "".join(
        f'<app:target uri="#{name}"><app:TexCoordList><app:textureCoordinates ring="#{name}r">{uv}'
        "</app:textureCoordinates></app:TexCoordList></app:target>"
        for name, uv in targets.items()
    )
    return _look(f"<app:imageURI>{uri}</app:imageURI>{coordinates}", "ParameterizedTexture", theme)


def _look(inside: str, kind: str, theme: str = "rgb") -> str:
    return (
        f"<app:appearanceMember {APP}><app:Appearance><app:theme>{theme}</app:theme><app:surfaceDataMember>"
        f"<app:{kind}>{inside}</app:{kind}></app:surfaceDataMember></app:Appearance></app:appearanceMember>"
    )


def _town(*looks: str) -> str:
    house = gml.building(gml.themed(gml.corners()), "b1")
    text = gml.model("@" + gml.member(house), srs="EPSG:3067").replace("@", "{before}")
    return _ringed(text.replace("{before}", "")).replace("</CityModel>", "".join(looks) + "</CityModel>")


def _read(
    tmp_path: Path, text: str, images: dict[str, bytes], *, packed: bool = True
) -> tuple[Mesh, Reading, dict[str, Any]]:
    """The body through the guarded child, from an archive or a folder, and its textures as pictures. An image
    that has a place is a layer of its archive."""
    file = tmp_path / "town.zip"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("udx/a.gml", text)
        for name, data in images.items():
            out.writestr(f"udx/{name}", data)
        if not packed:
            out.extractall(tmp_path)
            file = tmp_path / "udx/a.gml"
    with guard.read(file) as found:
        (row,) = (row for table in found.batches() for row in table.to_pylist())
        assert row[SOURCE_ID] == "b1"
        folder = found.folder / "textures"
        pictures = {each.stem: np.array(Image.open(each).convert("RGB")) for each in folder.glob("*")}
        return Mesh.from_bytes(row[MESH]), found, pictures


def _pixel(mesh: Mesh, pictures: dict[str, Any], triangle: int, weights: list[float]) -> Any:
    assert mesh.uv is not None
    assert mesh.materials is not None
    name = mesh.material_table[int(mesh.materials[triangle])].texture
    picture = pictures[str(name)]
    u, v = np.array(weights) @ mesh.uv[triangle]
    return picture[int(v * picture.shape[0]), int(u * picture.shape[1])].astype(int)


def test_an_image_lies_on_the_roof_as_the_file_says(tmp_path: Path) -> None:
    text = _town(_texture("pics/roof%20one.png", {"p-5": WHOLE}))
    mesh, found, pictures = _read(tmp_path, text, {"pics/roof one.png": image()})
    roof = np.flatnonzero(mesh.surfaces == Surface.ROOF)
    middle = mesh.positions[:, :2].mean(axis=0)
    seen = set()
    for triangle in roof.tolist():
        corners = mesh.positions[mesh.triangles[triangle]]
        for k in range(3):
            weights = [0.15, 0.15, 0.15]
            weights[k] = 0.7
            east, north = (np.array(weights) @ corners)[:2] > middle
            quarter = (0 if north else 2) + east  # upper left, upper right, lower left, lower right
            seen.add(int(quarter))
            assert np.abs(_pixel(mesh, pictures, triangle, weights) - QUARTERS[quarter]).max() < 12
    assert seen == {0, 1, 2, 3}
    walls = mesh.materials[mesh.surfaces == Surface.WALL] if mesh.materials is not None else []
    assert all(mesh.material_table[int(one)].texture is None for one in walls)
    assert not [p for p in found.problems if p.rule.startswith("texture.")]


def test_a_colour_is_that_of_a_surface_or_of_all_in_it(tmp_path: Path) -> None:
    color = "<app:diffuseColor>1 0.5 0</app:diffuseColor><app:transparency>0.2</app:transparency>"
    text = _town(_look(f"{color}<app:target>#p-5</app:target>", "X3DMaterial"))
    mesh, _, _ = _read(tmp_path, text, {})
    assert mesh.materials is not None
    table = [mesh.material_table[int(one)].color for one in mesh.materials]
    roof = mesh.surfaces == Surface.ROOF
    assert {color for color, is_roof in zip(table, roof, strict=True) if is_roof} == {(255, 128, 0, 204)}
    assert {color for color, is_roof in zip(table, roof, strict=True) if not is_roof} == {None}
    whole = text.replace('gml:MultiSurface><gml:surfaceMember><gml:Polygon gml:id="p-1"', "@", 1)
    whole = whole.replace("@", 'gml:MultiSurface gml:id="walls"><gml:surfaceMember><gml:Polygon gml:id="p-1"')
    mesh, _, _ = _read(tmp_path, whole.replace("#p-5", "#walls"), {})
    assert mesh.materials is not None
    coloured = np.array([mesh.material_table[int(one)].color is not None for one in mesh.materials])
    assert (coloured == (mesh.surfaces == Surface.WALL)).all()


def test_a_reversed_surface_keeps_its_image_where_it_was(tmp_path: Path) -> None:
    """The ring is turned round, and its coordinates with it."""
    text = _town(_texture("a.png", {"p-5": WHOLE}))
    plain, _, pictures = _read(tmp_path, text, {"a.png": image()})
    turned = text.replace(
        '<gml:surfaceMember><gml:Polygon gml:id="p-5">',
        '<gml:surfaceMember><gml:OrientableSurface orientation="-"><gml:baseSurface>'
        '<gml:Polygon gml:id="p-5">',
    )
    head, mark, tail = turned.partition('<gml:Polygon gml:id="p-5">')
    tail = tail.replace("</gml:Polygon>", "</gml:Polygon></gml:baseSurface></gml:OrientableSurface>", 1)
    other, _, again = _read(tmp_path, head + mark + tail, {"a.png": image()})
    for mesh, shown in ((plain, pictures), (other, again)):
        assert mesh.uv is not None
        roof = mesh.surfaces == Surface.ROOF
        at = mesh.positions[mesh.triangles[roof]].reshape(-1, 3)
        colours = {}
        for triangle in np.flatnonzero(roof).tolist():
            for k in range(3):
                weights = [0.02, 0.02, 0.02]
                weights[k] = 0.96
                place = tuple(np.round(mesh.positions[mesh.triangles[triangle, k], :2], 3).tolist())
                colours[place] = _pixel(mesh, shown, triangle, weights)
        west, south = at[:, 0].min(), at[:, 1].min()
        assert np.abs(colours[(round(float(west), 3), round(float(south), 3))] - QUARTERS[2]).max() < 12


@pytest.mark.parametrize(
    ("looks", "images", "rule", "words"),
    [
        ([_texture("none.jpg", {"p-5": WHOLE})], {}, "texture.missing", "none.jpg"),
        ([_texture("../../../../etc/passwd", {"p-5": WHOLE})], {}, "texture.missing", "passwd"),
        ([_texture("http://a.example/b.jpg", {"p-5": WHOLE})], {}, "texture.missing", "b.jpg"),
        ([_texture("a.png", {"p-5": "0 0 1 0"})], {"a.png": image()}, "texture.coordinates", "1 surfaces"),
        ([_texture("a.png", {"p-5": "0 0 1 x 1 1 0 1 0 0"})], {"a.png": image()}, "texture.coordinates", "1"),
        (
            [_texture("a.gif", {"p-5": WHOLE})],
            {"a.gif": b"GIF89a" + bytes(64)},
            "texture.unreadable",
            "a.gif",
        ),
        (
            [_texture("a.png", {"p-5": WHOLE}), _texture("b.png", {"p-1": WHOLE}, "winter")],
            {"a.png": image(), "b.png": image()},
            "appearance.theme",
            "winter",
        ),
        (
            [
                _look(
                    "<app:imageURI>a.png</app:imageURI><app:target>#p-5</app:target>", "GeoreferencedTexture"
                )
            ],
            {"a.png": image()},
            "texture.unplaced",
            "a.png: nothing says where",
        ),
        (
            [
                _look(
                    "<app:imageURI>a.png</app:imageURI><app:target>#p-5</app:target>", "GeoreferencedTexture"
                )
            ],
            {"a.png": image(), "a.pgw": b"0 0 0 0 1 2", "a.wld": b"1 2"},
            "texture.unplaced",
            "a.png: nothing says where",
        ),
        (
            [_look(f"{_POINT.format('1 0 0')}<app:target>#p-5</app:target>", "GeoreferencedTexture")],
            {"a.png": image()},
            "texture.left",
            "GeoreferencedTexture",
        ),
        (
            [_look('<app:imageURI>a.png</app:imageURI><app:target uri="#p-5"/>', "ParameterizedTexture")],
            {"a.png": image()},
            "texture.left",
            "TexCoordGen",
        ),
    ],
)
def test_what_is_missing_or_no_image_is_told(
    tmp_path: Path, looks: list[str], images: dict[str, bytes], rule: str, words: str
) -> None:
    mesh, found, pictures = _read(tmp_path, _town(*looks), images, packed=rule != "texture.unplaced")
    assert words in next(p.reason for p in found.problems if p.rule == rule)
    assert len(mesh.triangles) == 12
    assert len(pictures) == (1 if rule == "appearance.theme" else 0)


def _quarters(mesh: Mesh, pictures: dict[str, Any]) -> set[int]:
    """The quarters of the roof, each of which shows that of the image which lies there."""
    middle, seen = mesh.positions[:, :2].mean(axis=0), set()
    for triangle in np.flatnonzero(mesh.surfaces == Surface.ROOF).tolist():
        corners = mesh.positions[mesh.triangles[triangle]]
        for k in range(3):
            weights = [0.15, 0.15, 0.15]
            weights[k] = 0.7
            east, north = (np.array(weights) @ corners)[:2] > middle
            quarter = int((0 if north else 2) + east)
            assert np.abs(_pixel(mesh, pictures, triangle, weights) - QUARTERS[quarter]).max() < 12
            seen.add(quarter)
    return seen


def _tagged() -> bytes:
    """The image as a GeoTIFF, whose tags place the corner of the first pixel."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for number, values in ((33550, (0.25, 0.25, 0.0)), (33922, (0.0, 0.0, 0.0, 399_997.0, 6_700_011.0, 0.0))):
        tags.tagtype[number] = 12
        tags[number] = values
    return image(form="TIFF", tiffinfo=tags)


@pytest.mark.parametrize(
    ("inside", "images"),
    [
        (_POINT.format("0.25 0 0 -0.25"), {"a.png": image()}),
        (_URI, {"a.png": image(), "a.pgw": _WHERE}),
        ("<app:imageURI>p/A.jpg</app:imageURI>", {"p/A.jpg": image(), "p/a.jgw": _WHERE}),
        ("<app:imageURI>a.tif</app:imageURI>", {"a.tif": _tagged()}),
        (
            "<app:preferWorldFile>false</app:preferWorldFile><app:imageURI>a.tif</app:imageURI>",
            {"a.tif": _tagged(), "a.tfw": b"1 0 0 -1 0 0"},
        ),
    ],
)
def test_an_image_of_the_ground_lies_where_it_says(
    tmp_path: Path, inside: str, images: dict[str, bytes]
) -> None:
    text = _town(_look(f"{inside}<app:target>#p-5</app:target>", "GeoreferencedTexture"))
    mesh, found, pictures = _read(tmp_path, text, images, packed=False)
    assert _quarters(mesh, pictures) == {0, 1, 2, 3}
    assert not [p for p in found.problems if p.rule.startswith("texture.")]


def test_an_image_of_the_ground_of_a_model_with_north_first(tmp_path: Path) -> None:
    """The reference point and the matrix count as the model does."""
    turned = [(y, x, z) for x, y, z in gml.corners()]
    house = gml.model(gml.member(gml.building(gml.themed(turned))), srs="urn:ogc:def:crs:EPSG::2393")
    point = _POINT.replace("399997.125 6700010.875", "6700010.875 399997.125").format("0 -0.25 0.25 0")
    text = _ringed(house).replace(
        "</CityModel>",
        _look(f"{point}<app:target>#p-5</app:target>", "GeoreferencedTexture") + "</CityModel>",
    )
    mesh, found, pictures = _read(tmp_path, text, {"a.png": image()})
    assert _quarters(mesh, pictures) == {0, 1, 2, 3}
    assert not [p for p in found.problems if p.rule.startswith("texture.")]


def test_coordinates_that_a_matrix_makes(tmp_path: Path) -> None:
    """s from 0 to 1 over the ten metres eastwards, t over the six northwards; twice as much over two."""
    matrix = "0.2 0 0 -80000 0 0.3333333333333333 0 -2233333.3333333333 0 0 0 2"
    target = (
        f'{_URI}<app:target uri="#p-5"><app:TexCoordGen><app:worldToTexture>{matrix}</app:worldToTexture>'
        "</app:TexCoordGen></app:target>"
    )
    mesh, found, pictures = _read(tmp_path, _town(_look(target, "ParameterizedTexture")), {"a.png": image()})
    assert _quarters(mesh, pictures) == {0, 1, 2, 3}
    assert not [p for p in found.problems if p.rule.startswith("texture.")]


def test_what_lies_around_an_image_of_citygml(tmp_path: Path) -> None:
    look = _texture("a.png", {"p-5": "-1 -1 2 -1 2 2 -1 2 -1 -1"})
    around = "<app:wrapMode>border</app:wrapMode><app:borderColor>0 0 0 1</app:borderColor>"
    text = _town(look.replace("<app:target ", f"{around}<app:target ", 1))
    mesh, _, pictures = _read(tmp_path, text, {"a.png": image()})
    roof = np.flatnonzero(mesh.surfaces == Surface.ROOF).tolist()
    assert all(_pixel(mesh, pictures, roof[0], w).max() < 12 for w in ([0.9, 0.05, 0.05], [0.05, 0.05, 0.9]))
    (picture,) = pictures.values()
    assert picture.max() > 200


def test_coordinates_may_leave_out_the_closing_pair(tmp_path: Path) -> None:
    text = _town(_texture("a.png", {"p-5": "0 0 1 0 1 1 0 1"}))
    mesh, found, pictures = _read(tmp_path, text, {"a.png": image()})
    assert len(pictures) == 1
    assert mesh.textures()
    assert not [p for p in found.problems if p.rule.startswith("texture.")]
