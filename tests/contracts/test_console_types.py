"""The console's types are what openapi-typescript makes of schemas/openapi.json."""

import pytest

from cli.stack import console, supervisor


@pytest.mark.timeout(900)
def test_the_console_s_types_are_generated_from_the_document() -> None:
    try:
        console.install()
    except supervisor.StackError as error:
        pytest.skip(f"the console's packages cannot be had here: {error}")

    done = console.run_script("api", "--check", capture=True)

    assert done.returncode == 0, f"run `make schemas`: {done.stderr}"
