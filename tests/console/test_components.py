import pytest

from cli.stack import console, supervisor


@pytest.mark.browser  # they run in a browser's stead, and beside it: make test-console
@pytest.mark.timeout(900)
def test_every_component_keeps_its_claims() -> None:
    try:
        console.install()
    except supervisor.StackError as error:
        pytest.skip(f"the console's packages cannot be had here: {error}")

    done = console.run_script("test", "--reporter=dot", capture=True)

    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
