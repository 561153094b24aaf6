"""What runs in the measured processes. Only public names of Jumpstarter: stock Jumpstarter runs these modules too."""
