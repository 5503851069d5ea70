#!/usr/bin/python3
"""catalogue.py: a catalogue of 10,000 signals, Vehicle.Load.B00.S00 to B99.S99, besides the demonstration's, for the load."""
import json

signals = {f"S{j:02}": {"type": "sensor", "datatype": "uint32", "description": "A load."} for j in range(100)}
groups = {f"B{i:02}": {"type": "branch", "description": "Loads.", "children": signals} for i in range(100)}
print(json.dumps({"Vehicle": {"type": "branch", "description": "A vehicle.", "children": {
    "Load": {"type": "branch", "description": "Loads.", "children": groups}}}}))
