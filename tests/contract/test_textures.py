"""Images on bodies in every store: kept with the load, read by the layer, swept when nothing names them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from layers.batch import MESH
from layers.errors import NotFound
from layers.mesh import Mesh
from layers.store.base import Store
from layers.textures import Texture
from tests.storing import batch, load, row, spec, square
from tests.textured import BLUE, GREEN, RED, WHITE, box, image, textured

ROOF = Texture.of(image(), "image/png")
OTHER = Texture.of(image((WHITE, BLUE, GREEN, RED)), "image/png")


def _publish(store: Store, *textures: Texture, layer: str = "buildings", mode: str = "replace") -> None:
    """Houses, each with a texture of its own."""
    rows = [
        row(one.sha[:8], square(25, 60 + n), **{MESH: textured(box(25, 60 + n), one.sha).to_bytes()})
        for n, one in enumerate(textures)
    ]
    load(store, spec(layer), rows, mode, textures=textures * 2)  # a reader may say it twice


def test_a_texture_comes_with_the_load(store: Store, opener: Callable[[], Store]) -> None:
    assert store.texture_types("buildings", [ROOF.sha]) == {}
    stage = store.stage(spec())
    stage.add(batch([row("a", square(25, 60), **{MESH: textured(box(25, 60), ROOF.sha).to_bytes()})]))
    stage.texture(ROOF)
    assert store.texture_types("buildings", [ROOF.sha]) == {}
    store.publish(stage)
    for one in (store, opener()):
        assert one.texture("buildings", ROOF.sha) == ROOF
        assert one.texture_types("buildings", [ROOF.sha, OTHER.sha]) == {ROOF.sha: "image/png"}
        (mesh,) = one.rows("buildings", meshes=True).meshes.values()
        assert isinstance(mesh, Mesh)
        assert mesh.textures() == {ROOF.sha}
        assert mesh.part_table[1].name == "Dach"


def test_a_stage_that_is_dropped_leaves_none(store: Store) -> None:
    _publish(store, ROOF)
    stage = store.stage(spec())
    stage.texture(OTHER)
    stage.drop()
    assert store.texture_types("buildings", [OTHER.sha]) == {}


def test_a_texture_is_that_of_its_layer(store: Store) -> None:
    _publish(store, ROOF)
    _publish(store, OTHER, layer="sheds")
    for layer, sha in (("buildings", OTHER.sha), ("sheds", ROOF.sha), ("nowhere", ROOF.sha)):
        with pytest.raises(NotFound):
            store.texture(layer, sha)
    for name in ("no' name", f"{ROOF.sha}\0", f"{ROOF.sha}\n", ROOF.sha.upper(), ""):
        with pytest.raises(NotFound):
            store.texture("buildings", name)


def test_what_nothing_names_is_swept(store: Store) -> None:
    _publish(store, ROOF, OTHER)
    assert store.sweep_textures() == 0
    unnamed = Texture.of(image((GREEN, GREEN, GREEN, GREEN)), "image/png")
    shown = row("x", square(25, 60), **{MESH: textured(box(25, 60), ROOF.sha).to_bytes()})
    load(store, spec(), [shown], textures=(ROOF, unnamed))
    assert store.sweep_textures() == 1
    with pytest.raises(NotFound):
        store.texture("buildings", unnamed.sha)
    # the old rows name it
    assert store.texture("buildings", OTHER.sha) == OTHER


def test_the_past_and_its_return_have_their_textures(store: Store) -> None:
    _publish(store, ROOF)
    before = store.seq()
    _publish(store, OTHER)
    then = store.as_of(before)
    assert store.sweep_textures() == 0
    assert then.texture("buildings", ROOF.sha) == ROOF
    assert then.texture_types("buildings", [ROOF.sha]) == {ROOF.sha: "image/png"}
    store.revert("buildings", before, unchanged_since=store.seq())
    assert store.sweep_textures() == 0
    (mesh,) = store.rows("buildings", meshes=True).meshes.values()
    assert store.texture("buildings", *mesh.textures()) == ROOF
    store.drop("buildings")
    assert store.sweep_textures() == 0
    assert store.as_of(before).texture("buildings", ROOF.sha) == ROOF
    with pytest.raises(NotFound):
        store.texture("buildings", ROOF.sha)


def test_a_body_that_nobody_can_read_is_left_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Another program wrote it: the others are read, the log tells it once, and no image is swept."""
    good, far = textured(box(25, 60), ROOF.sha), textured(box(26, 60), OTHER.sha).to_bytes()
    # one whose tables end too soon, one of half of its positions, one of nothing
    beyond = far[:4] + (4).to_bytes(4, "little") + far[8:12] + far[12 : 12 + 96] + far[12 + 8 * 24 :]
    layer = f"odd_{type(store).__name__.lower()}"  # what was told once is not told again in one process
    bodies = [("a", good.to_bytes()), ("b", far[:-1]), ("c", beyond), ("d", b"")]
    rows = [row(name, square(25 + n, 60), **{MESH: one}) for n, (name, one) in enumerate(bodies)]
    load(store, spec(layer), rows, textures=(ROOF, OTHER))
    for _ in range(2):
        assert [mesh.textures() for mesh in store.rows(layer, meshes=True).meshes.values()] == [{ROOF.sha}]
    assert store.as_of(store.seq()).chosen(layer, [1, 2, 3, 4]).meshes.keys() == {1}
    told = [one.getMessage() for one in caplog.records if "body" in one.getMessage()]
    assert len(told) == 3, told
    assert store.sweep_textures() == 0
