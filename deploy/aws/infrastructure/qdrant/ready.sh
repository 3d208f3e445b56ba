# Ask Qdrant by TLS whether it is ready; its certificate has to be one that clients trust.
address=127.0.0.1:${QDRANT__SERVICE__HTTP_PORT:-6333}
if ! command -v openssl >/dev/null; then
    # All that bash can say then: somebody listens.
    exec 3<>"/dev/tcp/${address/://}" && exit 0
fi
printf 'GET /readyz HTTP/1.0\r\n\r\n' |
    openssl s_client -quiet -connect "$address" -CAfile "$AUTHORITY" -verify_return_error \
        -servername "$HOST_NAME" -verify_hostname "$HOST_NAME" 2>/dev/null |
    grep -q 'all shards are ready'
