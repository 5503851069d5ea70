#!/bin/sh
# soak-system.sh: the long form of tests that every run has a short form of: a thousand kills between side effects, a thousand
# containers, two hundred alive, ten minutes of a kubelet.
# SOAK_FAULT_ROUNDS: points tried of each of the nine sweeps (112; 0: all). SOAK_KUBELET_SECONDS (600).
set -eu
cd "$(dirname "$0")/.."
stage=$PWD/${BUILD:-build}/stage
AXLE_STAGE=$stage AXLE_LOAD=soak AXLE_FAULT_ROUNDS=${SOAK_FAULT_ROUNDS:-112} \
	AXLE_KUBELET_SECONDS=${SOAK_KUBELET_SECONDS:-600} \
	exec /usr/bin/python3 -m pytest -q -rP -p no:cacheprovider tests/manager/test_manager_faults.py \
	tests/manager/test_manager_loads.py tests/manager/test_manager_kubelet.py
