"""GET /overview."""

from litestar import get
from litestar.datastructures import State

from services.api.overview import snapshot


@get("/overview", tags=["overview"], summary="The first screen: what flows, who lives, what is due")
async def get_overview(state: State) -> snapshot.Overview:
    """At most a second old; latency and failures at most five."""
    snapshots: snapshot.Snapshots = state.snapshots
    return await snapshots.get()
