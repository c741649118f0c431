"""The `oncely` command: the tree of subcommands and how errors become exit codes."""

import sys

from cyclopts import App, CycloptsError

from cli import output
from cli.stack import supervisor

app = App(
    name="oncely",
    help="Orders and events over REST that take effect once: run it locally, look into it.",
    version_flags=["--version"],
    help_epilogue=(
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 not running, 4 refused by the api, "
        "5 already running, 130 interrupted."
    ),
)
# By name, so that a command imports only what it needs: everything but `up` and `doctor` works
# without the extra `local`, and a short command stays short. Hence the help texts here.
COMMANDS = (
    ("up", "cli.commands.up:up", "Start everything and keep it running until Ctrl-C."),
    ("down", "cli.commands.up:down", "Stop what runs on a data folder."),
    ("status", "cli.commands.status:status", "Show what runs and whether it is ready."),
    ("doctor", "cli.commands.doctor:doctor", "Check this machine and the running stack."),
    ("events", "cli.commands.events:app", "Send, look at and replay events."),
    ("event-types", "cli.commands.event_types:app", "Look at the settings of event types."),
    ("rules", "cli.commands.rules:app", "Look at rules, change and test them."),
    ("outbox", "cli.commands.outbox:app", "Look at what waits to be published."),
    ("deliveries", "cli.commands.deliveries:app", "Look at what rules sent, send again, resolve."),
    ("targets", "cli.commands.targets:app", "Look at where webhooks go; make and stop targets."),
    ("replays", "cli.commands.replays:app", "Look at bulk replays; pause, resume, cancel them."),
    ("dead-letters", "cli.commands.dead_letters:app", "Look at what no retry mends, redrive it."),
    ("listen", "cli.commands.listen:listen", "Receive webhooks here, to see that they come."),
    ("keys", "cli.commands.keys:app", "Make, list and revoke API keys."),
    ("faults", "cli.commands.faults:app", "Break something on purpose, for a bounded time."),
    ("migrate", "cli.commands.migrate:app", "Bring the schema and the topics up to date."),
)
for name, target, text in COMMANDS:
    app.command(target, name=name, help=text)


def main() -> None:
    """Run the command line and end the process with a documented code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; every expected error becomes a message and a code."""
    try:
        result = app(
            arguments,
            exit_on_error=False,
            print_error=True,
            result_action="return_value",
        )
    except CycloptsError:
        return output.Exit.USAGE
    except output.Failure as failure:
        output.fail(str(failure))
        return failure.code
    except supervisor.StackError as error:
        output.fail(str(error))
        return output.Exit.FAILED
    except KeyboardInterrupt:
        return output.Exit.INTERRUPTED
    return result if isinstance(result, int) else output.Exit.OK


if __name__ == "__main__":
    main()
