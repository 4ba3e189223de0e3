"""Models of 岚江's networks: EPANET (by wntr) and SWMM solve what is delivered."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from twin.demo.lanjiang import generate
from twin.demo.lanjiang.pipelines.parts import HOURS

#: Metres of water in a megapascal.
HEAD = 1e6 / 9_806.65


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("lanjiang") / "S"
    return folder, generate.generate(folder, size="S")["pipelines"]


def test_water_comes_to_all_who_draw_it(city: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wntr

        model = wntr.network.WaterNetworkModel(str(city[0] / "岚江市供水集团/给水管网.inp"))
        told = wntr.sim.EpanetSimulator(model).run_sim(file_prefix=str(tmp_path / "water"))
    true = city[1]["water_model"]
    assert model.num_junctions == true["junctions"]
    assert model.num_pipes == true["pipes"]
    assert model.num_reservoirs == true["works"]
    assert sum(HOURS) == pytest.approx(24)
    drawing = [name for name, one in model.junctions() if one.base_demand > 0]
    pressure = told.node["pressure"][drawing] / HEAD
    assert len(drawing) > 200
    assert pressure.index[-1] == 24 * 3_600
    assert pressure.to_numpy().min() >= 0.14
    assert pressure.to_numpy().max() <= 0.45
    litres = told.node["demand"][drawing].iloc[:24].sum(axis=1).mean() * 1_000
    assert litres == pytest.approx(true["mean_demand_l_s"], rel=0.02)


def test_a_storm_runs_off_through_the_outfalls(city: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    from swmm.toolkit import solver

    lines = (city[0] / "岚江市排水有限公司/排水管网.inp").read_text("utf-8")
    model, report = tmp_path / "drains.inp", tmp_path / "drains.rpt"
    model.write_text(lines.replace("END_TIME 06:00:00", "END_TIME 02:30:00"), "utf-8")
    solver.swmm_run(str(model), str(report), str(tmp_path / "drains.out"))
    told = report.read_text("utf-8", "replace")
    assert "ERROR" not in told
    runoff, routed = (
        {
            line.partition(" ..")[0].strip(): float(line.split()[-2 if "Continuity" not in line else -1])
            for line in told.partition(head)[2].partition("Error (%)")[0].splitlines()
            if ".." in line
        }
        for head in ("Runoff Quantity Continuity", "Flow Routing Continuity")
    )
    assert 0.3 < runoff["Surface Runoff"] / runoff["Total Precipitation"] < 0.9
    assert routed["Flooding Loss"] < 0.1 * routed["Wet Weather Inflow"]
    assert routed["External Outflow"] > 0.5 * routed["Wet Weather Inflow"]
    errors = [float(line.split()[-1]) for line in told.splitlines() if "Continuity Error (%)" in line]
    assert len(errors) == 2
    assert max(map(abs, errors)) < 2
