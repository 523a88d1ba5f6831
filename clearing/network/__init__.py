"""The network: cities, carriers, routes, vehicles and dated tariffs, loaded from city packages."""
