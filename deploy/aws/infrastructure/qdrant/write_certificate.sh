# Write what Qdrant shows, its key, and the authority into the folder that is the argument.
set -eu
umask 077
printf '%s\n' "$CERTIFICATE" >"$1/certificate.pem"
printf '%s\n' "$KEY" >"$1/key.pem"
printf '%s\n' "$AUTHORITY" >"$1/authority.pem"
