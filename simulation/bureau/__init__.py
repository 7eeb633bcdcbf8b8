"""A second kind of synthetic fleet, which shares no numbers with `simulation.fleet`, and no code but `Planned`.

There, agents draw one call after the other. Here they work through procedures, correspond with customers over days, and
run on schedules; tools have other names, and attacks other shapes. What holds on both fleets is not fitted to one of
them. Nothing in here may import from `streams.behaviour` but the class of an activity.
"""
