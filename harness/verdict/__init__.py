"""What a run proved: judged, compared with its golden, told when it failed. Nothing acts here."""
