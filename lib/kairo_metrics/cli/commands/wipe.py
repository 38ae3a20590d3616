"""`wipe`: deletes what a namespace holds, after it has shown it and asked."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict

from ...config.redis_url import without_password
from ...config.settings import Settings
from ...errors import SettingsError
from ...exposition.names import found_by
from ...store.admin.deletion import DeletionPlan, delete, plan_deletion
from ...store.redis_store import RedisStore
from ..store_access import CommandError, join_dev_server, patient_store, read_store, unknown_metric
from ..table import print_table
from ..terminal import Progress, Terminal

__all__ = ["add_wipe"]


def add_wipe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    wipe = commands.add_parser(
        "wipe",
        help="delete what the namespace holds; shows it first, and asks",
        description="Delete all metrics of the namespace, or one family. Running instances go on counting from zero.",
        epilog="Exit code: 0 deleted, or nothing to delete; 1 not deleted; 2 no terminal to ask on, a wrong setting.",
    )
    wipe.add_argument("--family", metavar="NAME", help="only this family")
    wipe.add_argument(
        "--records",
        action="store_true",
        help="also the records of deliveries, which otherwise expire; only if no instance is running: it would send "
        "its last batches again",
    )
    wipe.add_argument("--dry-run", action="store_true", help="show what would be deleted, and delete nothing")
    wipe.add_argument("--yes", action="store_true", help="do not ask")
    wipe.add_argument("--json", action="store_true", help="print JSON")
    wipe.set_defaults(run=_wipe)


def _wipe(options: argparse.Namespace) -> int:
    join_dev_server()
    if options.family and options.records:
        raise SettingsError("--records", "is for the whole namespace, not for one --family")
    settings = Settings.from_env()
    names = _family_names(options.family) if options.family else ()
    terminal = Terminal()
    store = patient_store(settings)
    with store.sync_client() as client:
        with Progress(terminal, "keys looked at") as progress:
            plan = plan_deletion(client, settings.namespace, names, records=options.records, on_progress=progress.at)
        if not options.json:
            _describe(terminal, plan, settings)
        deletes = not plan.empty and not options.dry_run
        if deletes and not options.yes:
            _ask(terminal, settings.namespace)
        if deletes:
            with Progress(terminal, "deleted") as progress:
                delete(client, plan, progress.at)
    if options.json:
        terminal.write_line(json.dumps(_as_json(plan, deleted=deletes), indent=2))
    elif deletes:
        terminal.write_line(f"deleted {_counted(plan.keys, 'key')}; running instances count from zero")
    elif options.dry_run:
        terminal.write_line("nothing was deleted: this was a dry run")
    return 0


def _family_names(name: str) -> tuple[str, ...]:
    """Return the stored names of the families that have this name or a sample of this name."""

    async def read(store: RedisStore, settings: Settings) -> tuple[str, ...]:
        snapshot = await store.snapshot()
        schemas = [entry.schema for entry in snapshot.entries]
        if not (found := found_by(name, schemas)):
            raise unknown_metric(name, schemas, settings.namespace)
        return tuple({schema.name for schema in found})

    return read_store(read)


def _describe(terminal: Terminal, plan: DeletionPlan, settings: Settings) -> None:
    place = without_password(settings.redis_url or "")
    terminal.write_line(f"namespace {terminal.style(plan.namespace, 'bold')} at {place}")
    if plan.empty:
        terminal.write_line("there is nothing to delete")
        return
    terminal.write_line()
    rows = [(name, keys, series) for name, (keys, series) in _by_family(plan).items()]
    if plan.others:
        rows.append(("(other keys)", len(plan.others), 0))
    print_table(terminal, ("family", "keys", "series"), rows)
    terminal.write_line()
    series = sum(series for _, _, series in rows)
    terminal.write_line(
        f"{_counted(plan.keys, 'key')} with {series} series {'is' if plan.keys == 1 else 'are'} to be deleted"
    )
    if plan.kept:
        stays = "stays" if plan.kept == 1 else "stay"
        records = _counted(plan.kept, "record")
        terminal.write_line(f"{records} of deliveries {stays}: without them instances would send batches again")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _by_family(plan: DeletionPlan) -> dict[str, tuple[int, int]]:
    """Return keys and series by family."""
    sums: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for family in plan.families:
        keys, series = sums[family.name]
        sums[family.name] = keys + family.stored, series + family.series
    return dict(sorted(sums.items()))


def _ask(terminal: Terminal, namespace: str) -> None:
    """Ask the user to type the namespace, and return if it was typed.

    Raises:
        SettingsError: there is no terminal to ask on.
        CommandError: something else was typed.
    """
    if not sys.stdin.isatty():
        raise SettingsError("--yes", "is needed where there is no terminal to ask on; nothing was deleted")
    terminal.err.write(f"Type the namespace ({namespace}) to delete this: ")
    terminal.err.flush()
    if sys.stdin.readline().strip() != namespace:
        raise CommandError("that is not the namespace; nothing was deleted")


def _as_json(plan: DeletionPlan, *, deleted: bool) -> dict[str, object]:
    families = [{"family": name, "keys": keys, "series": series} for name, (keys, series) in _by_family(plan).items()]
    return {
        "namespace": plan.namespace,
        "families": families,
        "other_keys": len(plan.others),
        "keys": plan.keys,
        "records_kept": plan.kept,
        "deleted": deleted,
    }
