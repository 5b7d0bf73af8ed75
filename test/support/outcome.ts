import type { Outcome } from '../../src/telemetry/outcome.ts'

/** A finished call, answered 200 at the first attempt but for what is given. */
export function outcome(fields: Partial<Outcome> = {}): Outcome {
  return {
    startedAt: 0,
    durationMs: 12,
    method: 'GET',
    scheme: 'http',
    authority: 'reviews:9080',
    path: '/reviews/1',
    routeName: 'canary',
    urlTemplate: '/reviews/*',
    clusterName: 'outbound|9080|v2|reviews',
    destination: { service: 'reviews', version: 'v2' },
    endpointAddress: '10.0.0.3:9080',
    statusCode: fields.error ? 0 : 200,
    grpcStatus: -1,
    flag: '',
    attempts: 1,
    requestBytes: 0,
    responseBytes: 5,
    error: null,
    ...fields,
  }
}
