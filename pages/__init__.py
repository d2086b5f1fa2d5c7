"""The pages people see: each reads widgets, calls the hub once, shows the result."""
