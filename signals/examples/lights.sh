#!/bin/sh
# An adaptor in shell: low beam lights that obey. It needs nothing but the files.
#
#	sh lights.sh [/dev/signal]
set -eu
beam=${1:-/dev/signal}/Vehicle/Body/Lights/IsLowBeamOn

# Opening claims the signal; it is ours until this shell ends. Each line that is read is a request:
# its number, the value that is wanted, until when to answer.
exec 3<>"$beam@provide"
echo false >&3

tab=$(printf '\t')
while IFS=$tab read -r id value until <&3; do
	if [ "$value" = true ] && [ -e "${BLOWN_FUSE:-/nonexistent}" ]; then
		echo "error $id the fuse is blown" >&3
		continue
	fi
	# here the light would be switched
	echo "$value" >&3
	echo "ok $id" >&3
done
