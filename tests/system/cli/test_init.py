"""`init` as its user runs it: what it shows, asks, writes and refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.kairo_metrics.cli import main
from tests.support.command_run import on_terminal
from tests.support.dev_server import REPOSITORY
from tests.support.init_run import (
    EXAMPLES,
    FASTAPI,
    FLASK,
    GITHUB_PYTHON,
    HANDLER,
    QUESTION,
    VERCEL,
    Init,
    contents,
    write,
)
from tests.support.variants import variants


def test_the_changes_are_written_once(shop: Path, init: Init) -> None:
    """What is missing is written, the rest stays, and a second run finds nothing to do."""
    first = init(shop, "--yes")
    assert (first.code, first.err) == (0, "")
    written = contents(shop)
    assert set(written) == {
        *("api/index.py", "api/metrics.py", "requirements.txt", "vercel.json", ".vercelignore", "public/.gitkeep"),
    }
    assert json.loads(written["vercel.json"])["framework"] is None
    second = init(shop)
    assert second.code == 0
    assert "nothing is missing" in second.out
    assert contents(shop) == written


def test_without_a_terminal_nothing_is_changed(shop: Path, init: Init) -> None:
    """A script that forgot --yes sees the changes, gets exit code 2, and keeps its files."""
    before = contents(shop)
    ran = init(shop)
    assert (ran.code, ran.err) == (
        2,
        "--yes is needed where there is no terminal to ask on; nothing was changed\n",
    )
    assert "+app = instrument(app)" in ran.out
    assert contents(shop) == before


@pytest.mark.parametrize(
    ("answer", "code"), variants([("y", 0), ("YES", 0), ("", 1), ("n", 1), ("yesterday", 1)], [("YES", 0), ("", 1)])
)
def test_on_a_terminal_it_asks(shop: Path, answer: str, code: int) -> None:
    """Only a yes writes."""
    before = contents(shop)
    ran = on_terminal(["init", str(shop)], {"NO_COLOR": "1"}, answer, QUESTION)
    assert ran.code == code, ran.out
    assert (contents(shop) != before) == (code == 0)
    assert ("nothing was changed" in ran.out) == (code == 1)


def test_the_diff_can_be_applied(shop: Path, init: Init) -> None:
    """The diff that is shown, applied by Git, gives what init writes."""
    write(shop, {"vercel.json": VERCEL})
    copy = shop.with_name("copy")
    shutil.copytree(shop, copy)
    shown = init(shop)
    diff = shown.out.partition("\n\n")[2].rpartition("\n\n")[0] + "\n"
    subprocess.run(["git", "apply"], cwd=copy, input=diff, text=True, check=True)
    assert init(shop, "--yes").code == 0
    assert contents(copy) == contents(shop)


def test_the_next_commands_are_printed(shop: Path, init: Init) -> None:
    """Secrets, Redis, the deployment, and a look at the page."""
    steps = [line.strip() for line in init(shop, "--yes").out.partition("\nNext:\n")[2].splitlines()]
    assert [step.partition("  ")[0] for step in steps] == [
        "vercel link",
        "openssl rand -hex 32",
        "vercel env add METRICS_AUTH_TOKEN production",
        "vercel env add ENABLE_METRICS production",
        "vercel integration add upstash",
        "vercel deploy --prod",
        'curl https://<domain>/api/metrics -H "Authorization: Bearer <the token>"',
    ]


def test_vercel_json_keeps_what_it_has(shop: Path, init: Init) -> None:
    """Its content, order and indentation stay; the page's own rules come before wider ones."""
    write(shop, {"vercel.json": VERCEL})
    assert init(shop, "--yes").code == 0
    text = (shop / "vercel.json").read_text()
    assert [line for line in VERCEL.splitlines() if line.rstrip(",{}[]") not in text] == [
        '    "functions": { "api/*.py": { "memory": 512 } },'
    ]
    found = json.loads(text)
    assert list(found["functions"]) == ["api/metrics.py", "api/*.py"]
    assert found["functions"]["api/*.py"] == {"memory": 512}
    assert found["rewrites"] == json.loads(VERCEL)["rewrites"]
    assert [rule["source"] for rule in found["headers"]] == ["/api/metrics"]
    assert (found["regions"], found["framework"]) == (["iad1"], None)


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/requirements.in")))
def test_what_an_example_has_is_enough(tmp_path: Path, init: Init, example: str) -> None:
    """An example project needs nothing but the package itself."""
    shutil.copytree(EXAMPLES / example, tmp_path / "shop")
    ran = init(tmp_path / "shop", "--yes")
    assert "copy this package to lib/kairo_metrics/" in ran.out
    assert "diff" not in ran.out
    assert "nothing is missing" in init(tmp_path / "shop").out


def test_a_preset_that_is_switched_off_is_told(tmp_path: Path, init: Init) -> None:
    """With "framework": null Vercel would not load an app in the root at all."""
    write(tmp_path, {"app.py": FLASK, "vercel.json": '{"framework": null}'})
    assert 'by hand: vercel.json: Vercel loads app.py only with "framework": "flask"' in init(tmp_path).out


def test_a_measured_app_without_a_page_is_told(tmp_path: Path, init: Init) -> None:
    """A line of the user's own is not changed, so its owner is told what to add to it."""
    app = FLASK.replace("Flask(__name__)", "instrument(Flask(__name__))")
    write(tmp_path, {"app.py": f"from lib.kairo_metrics import instrument\n{app}"})
    assert init(tmp_path, "--yes").code == 0
    ran = init(tmp_path)
    assert 'by hand: app.py: write instrument(..., metrics_path="/api/metrics")' in ran.out
    assert "nothing is missing" not in ran.out


def test_a_file_of_the_same_name_is_left_alone(shop: Path, init: Init) -> None:
    """A project with its own api/metrics.py gets the page beside it."""
    write(shop, {"api/metrics.py": HANDLER.replace("...", "'theirs'")})
    ran = init(shop, "--yes")
    assert ran.code == 0
    assert "metrics_app" in (shop / "api/prometheus.py").read_text()
    assert "'theirs'" in (shop / "api/metrics.py").read_text()
    assert "https://<domain>/api/prometheus" in ran.out
    assert "api/prometheus.py" in json.loads((shop / "vercel.json").read_text())["functions"]
    assert "nothing is missing" in init(shop).out


def test_the_old_form_of_vercel_json_is_not_mixed_with_the_new(shop: Path, init: Init) -> None:
    """Vercel refuses `functions` and `headers` beside `builds` and `routes`; the one app serves the page."""
    builds = '[{"src": "api/index.py", "use": "@vercel/python"}]'
    old = f'{{"builds": {builds}, "routes": [{{"src": "/(.*)", "dest": "api/index.py"}}]}}'
    write(shop, {"vercel.json": old})
    assert init(shop, "--yes").code == 0
    assert (shop / "vercel.json").read_text() == old
    assert 'app = instrument(app, metrics_path="/api/metrics")' in (shop / "api/index.py").read_text()
    assert not (shop / "api/metrics.py").exists()


@pytest.mark.parametrize("git", [True, False])
@pytest.mark.parametrize("second_run", [True, False])
def test_an_ignored_library_is_warned_about(shop: Path, init: Init, *, git: bool, second_run: bool) -> None:
    """GitHub's template for Python ignores lib/: the warning names the rule and what to add, with and without Git."""
    write(shop, {".gitignore": GITHUB_PYTHON})
    if git:
        subprocess.run(["git", "init", "--quiet", shop], check=True)
    if second_run:
        init(shop, "--yes")
    ran = init(shop)
    assert (
        "warning: lib/kairo_metrics/ would not be committed, so a deployment from Git would lack it "
        "(.gitignore, line 4: lib/): add the line `!/lib/` to the end of .gitignore\n"
    ) in ran.out
    with (shop / ".gitignore").open("a") as file:
        file.write("!/lib/\n")
    assert "warning" not in init(shop).out


def test_a_list_of_uploads_without_the_library_is_warned_about(shop: Path, init: Init) -> None:
    """A .vercelignore that names what to upload must name lib/ too."""
    write(shop, {".vercelignore": "/*\n!/api\n!/requirements.txt\n!/public\n"})
    ran = init(shop)
    assert "lib/kairo_metrics/ would not be uploaded by `vercel deploy` (.vercelignore, line 1: /*)" in ran.out
    assert "`!/lib/` to the end of .vercelignore" in ran.out


def test_from_a_clone_the_package_is_copied(tmp_path: Path, init: Init) -> None:
    """A project without the package gets it, without compiled files."""
    write(tmp_path, {"app.py": FLASK, "requirements.txt": "flask\n"})
    ran = init(tmp_path, "--yes")
    assert "copy this package to lib/kairo_metrics/" in ran.out
    assert (tmp_path / "lib/kairo_metrics/store/lua/apply.lua").is_file()
    assert not list(tmp_path.rglob("*.pyc"))
    assert "nothing is missing" in init(tmp_path).out


def test_it_needs_one_package(shop: Path) -> None:
    """A new user has neither Redis' client nor a web framework installed, and no function of the project runs."""
    asked = "import sys; from lib.kairo_metrics.cli import main; assert main(['init', '.']) == 2; "
    asked += "print(*{name.partition('.')[0] for name in sys.modules} & {'redis', 'starlette', 'anyio', 'fastapi'})"
    ran = subprocess.run([sys.executable, "-c", asked], cwd=shop, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == ""


def test_an_interrupted_copy_goes_on(tmp_path: Path, init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of which half was copied is not taken for a whole one."""
    write(tmp_path, {"app.py": FLASK})
    copied: list[str] = []

    def copy(source: Path, target: Path) -> None:
        if len(copied) == 100:
            raise OSError(28, "No space left on device")
        copied.append(target.name)
        target.write_bytes(source.read_bytes())

    with monkeypatch.context() as full:
        full.setattr("shutil.copyfile", copy)
        ran = init(tmp_path, "--yes")
    assert (ran.code, "can't be written: No space left on device; run init again" in ran.err) == (1, True)
    assert (tmp_path / "app.py").read_text() == FLASK
    assert init(tmp_path, "--yes").code == 0
    package = REPOSITORY / "lib" / "kairo_metrics"
    files = [file.relative_to(package) for file in package.rglob("*.py")]
    assert [file for file in files if not (tmp_path / "lib/kairo_metrics" / file).is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere",), 2, "DIR must be the folder of your project; there is no nowhere\n"),
        (("setup.py",), 2, "DIR must be the folder of your project; setup.py is a file\n"),
        (("docs",), 1, "no app was found in "),
        (("docs", "--app", "x.py"), 2, "--app must be a file in the project; there is no x.py\n"),
    ],
)
def test_a_wrong_argument_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """The message says which argument, and what it must be."""
    monkeypatch.chdir(REPOSITORY)
    assert main(["init", *arguments]) == code
    assert capsys.readouterr().err.startswith(message)


def test_a_file_that_can_not_be_written_is_named(shop: Path, init: Init) -> None:
    """What was written stays, and the next run writes the rest."""
    (shop / "public").symlink_to("nowhere/else")
    ran = init(shop, "--yes")
    assert (ran.code, ran.err) == (
        1,
        "public/.gitkeep can't be written: File exists; run init again for the rest\n",
    )
    (shop / "public").unlink()
    again = init(shop, "--yes")
    assert again.code == 0
    assert "wrote public/.gitkeep\nwrote requirements.txt\n" in again.out
    assert "wrote vercel.json" not in again.out


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(shop: Path, init: Init) -> None:
    """Only the content of a file changes; a new file is one that others may read."""
    (shop / "api/index.py").chmod(0o750)
    (shop / "shared.txt").write_text("fastapi\n")
    (shop / "requirements.txt").unlink()
    (shop / "requirements.txt").symlink_to("shared.txt")
    assert init(shop, "--yes").code == 0
    assert (shop / "api/index.py").stat().st_mode & 0o777 == 0o750
    assert (shop / "requirements.txt").is_symlink()
    assert "redis" in (shop / "shared.txt").read_text()
    plain = shop / "plain"
    plain.touch()
    assert (shop / "vercel.json").stat().st_mode == plain.stat().st_mode
    assert not [file for file in shop.rglob(".*") if "-" in file.name]


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(shop: Path) -> None:
    """Between the question and the answer, the user may save the file in an editor."""
    from lib.kairo_metrics.cli.init.plan import make_plan
    from lib.kairo_metrics.cli.store_access import CommandError

    [change] = [change for change in make_plan(shop).changes if change.path == Path("api/index.py")]
    (shop / change.path).write_text(FASTAPI + "# more\n")
    with pytest.raises(CommandError, match=r"api/index\.py has been changed meanwhile; run init again"):
        change.write(shop)
    assert (shop / change.path).read_text() == FASTAPI + "# more\n"
