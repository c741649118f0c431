"""GET /ws: what was committed a moment ago, for whoever watches. The REST answer stays the truth.

frames         what goes over the socket, both ways
subscriptions  what a watcher wants and may see; which updates that is
hub            hears the notices of all services, numbers them, keeps the last ones for all watchers
sockets        one watcher: hello, subscriptions, frames, heartbeats, its end
upgrades       who may watch, and what is answered to an upgrade that is refused
changes        which writes of people change what
protocol       uvicorn's WebSocket protocol with the bounds that it lacks
"""
