"""The command line: ``twin VERB``. Each verb is thin; the work is in the rooms."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layers.errors import TwinError
from layers.source import Declared
from twin.options import DEFAULT_CITY, AsJson, CityDir, DryRun, LeaveOut, Message, Store, Yes, declaring

if TYPE_CHECKING:
    from twin.undo_verbs import UndoOptions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="OneMap Twin: a city on one map.",
    pretty_exceptions_enable=False,
)
key_app = typer.Typer(no_args_is_help=True, help="Named keys: who may write.")
app.add_typer(key_app, name="key")
undo_app = typer.Typer(no_args_is_help=True, help="Take back what was done: shown first, then asked.")
app.add_typer(undo_app, name="undo")
audit_app = typer.Typer(no_args_is_help=True, help="The chain of what was done (audit in city.yml).")
app.add_typer(audit_app, name="audit")
tiles_app = typer.Typer(no_args_is_help=True, help="Static tiles: built of the city, and checked.")
app.add_typer(tiles_app, name="tiles")
model_app = typer.Typer(no_args_is_help=True, help="Versions of a model, checked in beside what is there.")
app.add_typer(model_app, name="model")


def main() -> None:
    """Entry point: an error raised on purpose is one line on stderr and exit code 1."""
    try:
        app()
    except TwinError as error:
        typer.echo(f"twin: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.command()
def init(
    folder: Path,
    title: Annotated[str, typer.Option(help="The city's name.")] = "City",
    store: Store = None,
) -> None:
    """Make a city folder: a commented city.yml and a key."""
    from twin import verbs

    verbs.init(folder, title, store)


@app.command()
@declaring
def check(
    files: list[Path],
    *,
    declared: Declared,
    whole: Annotated[bool, typer.Option("--whole", help="Look at every row, not at the first.")] = False,
    aside: Annotated[
        Path | None, typer.Option(help="A new CSV for the rows that would be set aside.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read files and say what they are; writes nothing; exit 1 if one cannot be loaded."""
    from twin import verbs

    if aside is not None and (len(files) > 1 or aside.exists()):
        raise typer.BadParameter("--aside goes with one FILE, and names a file that is not there yet")
    sys.exit(verbs.check(files, declared, whole=whole, aside=aside, as_json=as_json))


@app.command()
@declaring
def load(
    file: Annotated[Path | None, typer.Argument()] = None,
    layer_id: Annotated[str | None, typer.Option("--as", help="The layer's id.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="A YAML file naming many files.")] = None,
    *,
    declared: Declared,
    replace: Annotated[bool, typer.Option("--replace", help="The file is the layer's new whole.")] = False,
    append: Annotated[bool, typer.Option("--append", help="Add and update, delete nothing.")] = False,
    city: CityDir = DEFAULT_CITY,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Load a file (or a manifest) into the city and print the report."""
    from twin import verbs

    if (file is None) == (manifest is None):
        raise typer.BadParameter("give either a FILE with --as ID, or --manifest")
    if replace and append:
        raise typer.BadParameter("--replace and --append exclude each other")
    mode = "replace" if replace else "append" if append else "create"
    if manifest is not None:
        verbs.load_manifest(city, manifest, mode=mode, message=message, as_json=as_json)
        return
    if file is None or layer_id is None:
        raise typer.BadParameter("a FILE needs --as ID")
    verbs.load_file(city, file, layer_id, declared, mode=mode, message=message, as_json=as_json)


@app.command()
def layers(
    city: CityDir = DEFAULT_CITY,
    report: Annotated[
        str | None, typer.Option("--report", metavar="ID", help="Print the report of this layer's last load.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the city's layers, or print what the last load of one found."""
    from twin import verbs

    if report is None:
        verbs.layers(city, as_json=as_json)
    else:
        verbs.report(city, report, as_json=as_json)


@app.command()
def drop(
    layer_id: Annotated[str, typer.Argument(metavar="ID", help="The layer.")],
    city: CityDir = DEFAULT_CITY,
    yes: Yes = False,
    message: Message = "",
) -> None:
    """Remove a layer and its model versions from the city, also beside a running server; asks first."""
    from twin import verbs

    ask = None if yes else lambda question: typer.confirm(question, abort=True)
    verbs.drop(city, layer_id, ask=ask, message=message)


@app.command()
def serve(
    city: CityDir = DEFAULT_CITY,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
) -> None:
    """Serve the city."""
    from twin import server

    server.serve(city, host, port)


@app.command()
def demo(
    name: Annotated[str, typer.Argument(help="The demo city.")] = "helsinki",
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where its folder lies.", show_default="./demo/NAME")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    simulator: Annotated[bool, typer.Option(help="Play sensors and incidents.")] = True,
    store: Store = None,
) -> None:
    """Load a demo city and serve it, with a simulator beside it."""
    from twin.demo import run

    run.demo(name, folder or Path("demo") / name, host, port, simulator=simulator, store=store)


@app.command()
def generate(
    city: Annotated[str, typer.Argument(help="The fictional city: lanjiang.")],
    out: Annotated[Path, typer.Option(help="A new folder for its files.")],
    size: Annotated[str, typer.Option(help="S (3 km²), M (40 km²) or L (900 km²).")] = "S",
    edition: Annotated[str, typer.Option(help="clean, or dirty: with faults.")] = "clean",
    seed: int = 1,
    at: Annotated[str, typer.Option(help="LON,LAT of its middle.", show_default="114.3,42.8")] = "",
) -> None:
    """Write a fictional city as files of the kinds that departments deliver; load.yml among them loads it."""
    from twin.demo.lanjiang import verb

    verb.generate(city, out, size, edition, seed, at)


@app.command("score")
def score_reports(
    reports: Annotated[Path, typer.Argument(help="What twin load --manifest … --json printed.")],
    truth: Annotated[Path, typer.Argument(help="The truth.json of the generated city.")],
    as_json: AsJson = False,
) -> None:
    """Tell what loads found of what was planted in a generated city, and what they found beside it."""
    from twin.demo.lanjiang import verb

    verb.score(reports, truth, as_json=as_json)


@app.command()
def simulate(
    url: Annotated[str, typer.Option(help="The server's address.")] = "http://127.0.0.1:8080",
    key: Annotated[str, typer.Option(envvar="TWIN_KEY", help="A key that may write.")] = "",
    sensors: Annotated[
        int, typer.Option(min=1, max=5000, help="How many, in a city without device lists of its own.")
    ] = 64,
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="How many times faster than life.")] = 1.0,
    seed: int = 1,
    script: Annotated[
        str, typer.Option(help="What happens: burst, rainstorm, gas, fire, overflow or drill.")
    ] = "",
    start: Annotated[str, typer.Option(help="When it does.", show_default="now")] = "",
) -> None:
    """Play sensors and incidents at a running server through its public API only."""
    from twin.demo import run

    if not key:
        raise typer.BadParameter("simulate writes, so it needs --key or TWIN_KEY")
    run.simulate(url, key, sensors=sensors, speed=speed, seed=seed, script=script, start=start)


@key_app.command("add")
def key_add(
    name: str,
    may: Annotated[
        list[str] | None, typer.Option(help="edit, observe, configure, incident; all without it.")
    ] = None,
    of: Annotated[
        list[str] | None, typer.Option(help="Things(3) or Datastreams(7): observe and configure these alone.")
    ] = None,
    city: CityDir = DEFAULT_CITY,
) -> None:
    """Make a key and print it, this once."""
    from twin import verbs

    verbs.key_add(city, name, may, of)


@key_app.command("list")
def key_list(city: CityDir = DEFAULT_CITY) -> None:
    """The names of the keys."""
    from twin import verbs

    verbs.key_list(city)


@key_app.command("remove")
def key_remove(name: str, city: CityDir = DEFAULT_CITY) -> None:
    """Remove a key; requests with it are refused at once."""
    from twin import verbs

    verbs.key_remove(city, name)


@undo_app.command("set")
def undo_set(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Its id: /ogc/change-sets has it.")],
    city: CityDir = DEFAULT_CITY,
    dry_run: DryRun = False,
    yes: Yes = False,
    leave_out_conflicts: LeaveOut = False,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Take back a change set (an edit, a load, an undo), also beside a running server."""
    from twin import undo_verbs

    options = _undo_options(dry_run, yes, leave_out_conflicts, message, as_json)
    undo_verbs.of_set(city, number, options)


@undo_app.command("load")
def undo_load(
    layer_id: Annotated[str, typer.Argument(metavar="LAYER", help="The layer.")],
    generation: Annotated[
        int | None,
        typer.Argument(
            metavar="GENERATION", min=1, help="Which load; the newest without it.", show_default="newest"
        ),
    ] = None,
    city: CityDir = DEFAULT_CITY,
    dry_run: DryRun = False,
    yes: Yes = False,
    leave_out_conflicts: LeaveOut = False,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Take back a load of a layer, the first one too, also beside a running server."""
    from twin import undo_verbs

    options = _undo_options(dry_run, yes, leave_out_conflicts, message, as_json)
    undo_verbs.of_load(city, layer_id, generation, options)


@undo_app.command("feature")
def undo_feature(
    layer_id: Annotated[str, typer.Argument(metavar="LAYER", help="The layer.")],
    fid: Annotated[int, typer.Argument(metavar="ID", help="The feature's id; it may be gone by now.")],
    to: Annotated[
        str, typer.Option(help="The moment: an instant with its zone, or @ and a change's number.")
    ],
    city: CityDir = DEFAULT_CITY,
    dry_run: DryRun = False,
    yes: Yes = False,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Make one feature what it was at a moment, also beside a running server."""
    from twin import undo_verbs

    options = _undo_options(dry_run, yes, False, message, as_json)
    undo_verbs.of_feature(city, layer_id, fid, to, options)


@undo_app.command("actor")
def undo_actor(
    actor: Annotated[str, typer.Argument(metavar="NAME", help="The name of the key.")],
    first: Annotated[
        str, typer.Option("--from", help="From this moment on: an instant with its zone, or @n.")
    ],
    last: Annotated[str | None, typer.Option("--to", help="Up to this moment.", show_default="now")] = None,
    bbox: Annotated[str | None, typer.Option(help="Only features in west,south,east,north.")] = None,
    city: CityDir = DEFAULT_CITY,
    dry_run: DryRun = False,
    yes: Yes = False,
    leave_out_conflicts: LeaveOut = False,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Take back what a person did between two moments, also beside a running server."""
    from twin import undo_verbs

    options = _undo_options(dry_run, yes, leave_out_conflicts, message, as_json)
    undo_verbs.of_actor(city, actor, first, last, bbox, options)


@undo_app.command("area")
def undo_area(
    bbox: Annotated[str, typer.Argument(metavar="W,S,E,N", help="West, south, east, north.")],
    first: Annotated[
        str, typer.Option("--from", help="From this moment on: an instant with its zone, or @n.")
    ],
    last: Annotated[str | None, typer.Option("--to", help="Up to this moment.", show_default="now")] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", help="Only of this layer; may be given again.")
    ] = None,
    city: CityDir = DEFAULT_CITY,
    dry_run: DryRun = False,
    yes: Yes = False,
    leave_out_conflicts: LeaveOut = False,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Take back what anybody did in an area between two moments, also beside a running server."""
    from twin import undo_verbs

    options = _undo_options(dry_run, yes, leave_out_conflicts, message, as_json)
    undo_verbs.of_area(city, bbox, first, last, layers, options)


ModelLayer = Annotated[str, typer.Argument(metavar="LAYER", help="The layer whose versions they are.")]
VersionName = Annotated[str, typer.Argument(metavar="NAME", help="The version's name.")]


@tiles_app.command("build")
def tiles_build(
    to: Annotated[Path, typer.Argument(help="A folder for 3D tiles, or FILE.pmtiles for vector tiles.")],
    layers: Annotated[list[str] | None, typer.Option("--layer", help="A layer; all by default.")] = None,
    *,
    city: CityDir = DEFAULT_CITY,
    maxzoom: Annotated[
        int | None,
        typer.Option(min=0, max=20, help="The last zoom of an archive.", show_default="the layers' deepest"),
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="How many; one a core by default.")] = None,
) -> None:
    """Write tiles of layers that any web server can serve."""
    from twin import static_verbs

    static_verbs.build(city, to, layers or [], deepest=maxzoom, processes=processes)


@tiles_app.command("check")
def tiles_check(
    of: Annotated[str, typer.Argument(help="A folder, an archive, or http://…/3dtiles/LAYER/tileset.json.")],
) -> None:
    """Prove tiles whole: tree, boxes, errors, every feature once, counts. Exit code 1 where they are not."""
    from twin import static_verbs

    if not static_verbs.examine(of):
        raise typer.Exit(1)


@model_app.command("check-in")
@declaring
def model_check_in(
    layer_id: ModelLayer,
    file: Annotated[
        Path | None, typer.Argument(help="The model; what the layer is now without it.", show_default="now")
    ] = None,
    *,
    name: Annotated[str, typer.Option(help="What the version is to be called.")],
    declared: Declared,
    city: CityDir = DEFAULT_CITY,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Keep a model as a version of a layer, beside what is there; it becomes current when you say so."""
    from twin import model_verbs

    model_verbs.check_in(city, layer_id, name, file, declared, message, as_json=as_json)


@model_app.command("list")
def model_list(layer_id: ModelLayer, city: CityDir = DEFAULT_CITY, as_json: AsJson = False) -> None:
    """The versions of a layer."""
    from twin import model_verbs

    model_verbs.listing(city, layer_id, as_json=as_json)


@model_app.command("diff")
def model_diff(
    layer_id: ModelLayer,
    version: VersionName,
    old: Annotated[
        str | None, typer.Option("--from", help="The version it is compared with; what is there without it.")
    ] = None,
    city: CityDir = DEFAULT_CITY,
    as_json: AsJson = False,
) -> None:
    """What is different in a version, element by element: new, gone, moved, changed."""
    from twin import model_verbs

    model_verbs.diff(city, layer_id, old, version, as_json=as_json)


@model_app.command("make-current")
def model_make_current(
    layer_id: ModelLayer,
    version: VersionName,
    city: CityDir = DEFAULT_CITY,
    message: Message = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make the layer what the version is; the history keeps what was, and twin undo load takes it back."""
    from twin import model_verbs

    ask = None if yes or as_json else lambda question: typer.confirm(question, abort=True)
    model_verbs.make_current(city, layer_id, version, message, ask=ask, as_json=as_json)


@model_app.command("clash")
def model_clash(
    layer_id: ModelLayer,
    version: VersionName,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", help="A layer that it is held against; all with bodies without it."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0001, max=1, help="Metres that bodies may be in one another.")
    ] = 0.01,
    clearance: Annotated[
        float, typer.Option(min=0, max=10, help="Metres that bodies have to be away from pipes.")
    ] = 0.0,
    city: CityDir = DEFAULT_CITY,
    as_json: AsJson = False,
) -> None:
    """Where what is new in a version is in the way of its own parts, and of what is beside it."""
    from twin import model_verbs

    model_verbs.clash(city, layer_id, version, beside, tolerance, clearance, as_json=as_json)


@model_app.command("remove")
def model_remove(
    layer_id: ModelLayer, version: VersionName, city: CityDir = DEFAULT_CITY, message: Message = ""
) -> None:
    """Forget a version; what is current stays."""
    from twin import model_verbs

    model_verbs.remove(city, layer_id, version, message)


@audit_app.command("verify")
def audit_verify(
    file: Annotated[
        Path | None, typer.Argument(help="Exported lines of JSON, or -.", show_default="the city")
    ] = None,
    city: Annotated[
        Path | None,
        typer.Option(
            "--city", help="A city folder; beside FILE: it must have the same chain.", show_default="./city"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove an audit, without a server and without changing anything; exit 1 at the first false entry."""
    from twin import audit_verbs

    if file is None and city is None:
        city = Path(os.environ.get("TWIN_CITY", DEFAULT_CITY))
    sys.exit(audit_verbs.check(file, city, as_json=as_json))


@audit_app.command("export")
def audit_export(
    file: Annotated[Path | None, typer.Argument(help="A new file.", show_default="standard output")] = None,
    first: Annotated[int, typer.Option("--from", min=1, help="The number of the first entry.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="That of the last.")] = None,
    city: CityDir = DEFAULT_CITY,
) -> None:
    """Write the entries as lines of JSON."""
    from twin import audit_verbs

    audit_verbs.export(city, file, first, last)


@audit_app.command("list")
def audit_list(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many of the newest.")] = 50,
    city: CityDir = DEFAULT_CITY,
    as_json: AsJson = False,
) -> None:
    """Print the newest entries."""
    from twin import audit_verbs

    audit_verbs.show(city, limit, as_json=as_json)


def _undo_options(
    dry_run: bool, yes: bool, leave_out_conflicts: bool, message: str, as_json: bool
) -> UndoOptions:
    """A script that reads JSON is not asked: it has to say that it is sure."""
    from twin.undo_verbs import UndoOptions

    return UndoOptions(
        ask=None if yes else lambda question: typer.confirm(question, abort=True),
        dry_run=dry_run or (as_json and not yes),
        leave_out_conflicts=leave_out_conflicts,
        message=message,
        as_json=as_json,
    )
