"""The lines of ``hydra.launcher.setup`` in a job's script: the first that fails ends the job.

bash would go on with the next line, and the job with other software than was asked for. As with
``set -e``, what is tested (``if``, ``||``, ``&&``) may fail; unlike with it, only the lines
themselves count, not what goes on inside a script that they source or a function that they call.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from sanity.core.errors import as_line

ID = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
NOTE = "_setup_failed"
LONGEST = 200  # characters of a command that are shown


def guarded(lines: Sequence[str], folder: Path) -> list[str]:
    """``lines`` of bash, between those that note in ``folder`` which of them has failed."""
    if not lines:
        return []
    return [
        f"sanity_setup_note={shlex.quote(str(folder))}/{ID}{NOTE}",
        'rm -f "$sanity_setup_note"',
        "sanity_setup_ended() {  # exit code, command, depth of sourced files, line",
        '    [ "$3" = 1 ] || return 0',
        "    trap - ERR EXIT",
        # Of a function (module, conda) bash names the command inside it that failed.
        '    [ -z "$4" ] || set -- "$1" "$(sed -n "$4{s/^[[:space:]]*//;p}" "$0")"',
        '    printf "%s ended with exit code %s" "$2" "$1" >"$sanity_setup_note"',
        '    echo "hydra.launcher.setup: $(<"$sanity_setup_note"); the job ends here" >&2',
        '    exit "$(($1 ? $1 : 1))"',
        "}",
        """trap 'sanity_setup_ended "$?" "$BASH_COMMAND" "${#BASH_SOURCE[@]}" "$LINENO"' ERR""",
        """trap 'sanity_setup_ended "$?" "$BASH_COMMAND" 1 ""' EXIT""",
        *lines,
        "trap - ERR EXIT",
    ]


def failure(folder: Path, identifier: str) -> str:
    """Why the setup of a job ended it; empty where it did not."""
    try:
        text = (folder / f"{identifier}{NOTE}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    command, _, code = text.rpartition(" ended with ")
    if len(command) > LONGEST:
        command = f"{command[:LONGEST]}..."
    return f"hydra.launcher.setup: {as_line(command)} ended with {as_line(code)}"
