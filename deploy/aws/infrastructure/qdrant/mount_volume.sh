#!/bin/bash
# Mount a volume, by its id, on a folder; the agent of ECS starts after this and not without.
# A file system is made on a volume that is all zeros, and on no other.
set -euo pipefail

volume=$1 folder=$2
limit_s=${LIMIT_S:-600}
device=${DEVICES:-/dev/disk/by-id}/nvme-Amazon_Elastic_Block_Store_${volume/-/}

fail() {
    echo "qdrant's volume $volume: $1" >&2
    exit 1
}

if mountpoint --quiet "$folder"; then
    exit 0
fi

until [ -e "$device" ]; do
    [ "$SECONDS" -lt "$limit_s" ] || fail "not attached after $limit_s s; is it in this zone, and free?"
    sleep "${PAUSE_S:-5}"
done

found=0
blkid --probe "$device" >/dev/null || found=$?
case $found in
    0) ;;
    2)
        # blkid says the same where it cannot read.
        cmp --silent --bytes=4194304 "$device" /dev/zero || fail "neither a file system nor empty; left as it is"
        mkfs.ext4 -q -m 0 -L qdrant "$device" || fail "no file system could be made"
        ;;
    *) fail "blkid ended with $found; left as it is" ;;
esac

uuid=$(blkid --probe --match-tag UUID --output value "$device") || fail "holds no file system; left as it is"
mkdir -p "$folder"
mount -t ext4 -o noatime "UUID=$uuid" "$folder" || fail "could not be mounted"
# Nothing to do, unless the volume has grown.
resize2fs "$device" || fail "its file system could not grow"
mkdir -p "$folder/storage" "$folder/snapshots"
