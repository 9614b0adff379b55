"""The ground floor: errors, files, locks, signals, random streams, devices, the console."""
