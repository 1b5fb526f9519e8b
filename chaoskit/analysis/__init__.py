"""From raw records to a result: pure functions, repeatable on another machine, years later."""
