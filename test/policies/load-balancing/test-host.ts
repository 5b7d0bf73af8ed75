import type { Host } from '../../../src/policies/load-balancing/host.ts'

/** A healthy host of weight 1 that joined long ago; a test changes what it is about. */
export function testHost(name: string, change: Partial<Host> = {}): Host {
  return {
    name,
    weight: 1,
    health: 'healthy',
    ejected: false,
    failedHealthCheck: false,
    isExcluded: false,
    activeRequests: 0,
    reportedWeight: null,
    addedAt: -1_000_000,
    metadata: undefined,
    ...change,
  }
}
