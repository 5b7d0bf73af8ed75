const bytes = (value: Buffer) => value

/** A service whose messages are bytes, so that no serialisation is measured. */
export const echoService = {
  Unary: {
    path: '/bench.Echo/Unary',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const
