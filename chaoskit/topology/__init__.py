"""Networks that chaoskit builds, as knobs."""
