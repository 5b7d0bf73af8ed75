import { create } from '@bufbuild/protobuf'
import { Cluster_CommonLbConfigSchema } from '../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { HealthStatus } from '../../src/discovery/gen/envoy/config/core/v3/health_check_pb.ts'
import { ClusterLoadAssignmentSchema } from '../../src/discovery/gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import { FakeAdsServer } from '../../test/support/fake-ads-server.ts'
import { clusterMessage, listenerMessage, routeMessage } from '../../test/support/xds-resources.ts'

/**
 * A control plane that replaces one in a hundred of its endpoints every `intervalMs`; prints its port. With a `backend`, a port of this machine,
 * that is the only healthy one.
 */
const { endpoints, intervalMs, backend } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoints: number
  intervalMs: number
  backend?: number
}

const server = await FakeAdsServer.start()
let round = 0

function assignment() {
  const lbEndpoints = Array.from({ length: endpoints }, (_, index) => {
    const generation = index % 100 === round % 100 ? round : 0
    const isBackend = backend !== undefined && index === 0
    const address = isBackend ? '127.0.0.1' : `10.${generation % 256}.${index >> 8}.${index & 255}`
    return {
      healthStatus: backend === undefined || isBackend ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
      hostIdentifier: {
        case: 'endpoint' as const,
        value: {
          address: {
            address: {
              case: 'socketAddress' as const,
              value: { address, portSpecifier: { case: 'portValue' as const, value: isBackend ? backend : 8080 } },
            },
          },
        },
      },
    }
  })
  return create(ClusterLoadAssignmentSchema, {
    clusterName: 'big',
    endpoints: [{ locality: { zone: 'a' }, loadBalancingWeight: 1, lbEndpoints }],
  })
}

const cluster = clusterMessage('big')
// With one healthy endpoint of many there would be panic, which gRPC does not know.
cluster.commonLbConfig = create(Cluster_CommonLbConfigSchema, { healthyPanicThreshold: { value: 0 } })
server.set(listenerMessage('big'), routeMessage('big', 'big'), cluster, assignment())
process.stdout.write(`${server.port}\n`)
setInterval(() => {
  round++
  server.set(assignment())
}, intervalMs)
