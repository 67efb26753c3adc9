"""The use cases: every door passes every request through `pipeline.passage`, the one chokepoint."""
