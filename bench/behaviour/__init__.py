"""How well behaviour detectors tell attacks from honest work, on synthetic fleets."""
