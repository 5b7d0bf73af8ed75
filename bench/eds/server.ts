import { create } from '@bufbuild/protobuf'
import { HealthStatus } from '../../src/discovery/gen/envoy/config/core/v3/health_check_pb.ts'
import { ClusterLoadAssignmentSchema } from '../../src/discovery/gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import { FakeAdsServer } from '../../test/support/fake-ads-server.ts'
import { clusterMessage, listenerMessage, routeMessage } from '../../test/support/xds-resources.ts'

/** A control plane that replaces one in a hundred of its endpoints every `intervalMs`; prints its port. */
const { endpoints, intervalMs } = JSON.parse(process.argv[2] ?? '{}') as { endpoints: number; intervalMs: number }

const server = await FakeAdsServer.start()
let round = 0

function assignment() {
  const lbEndpoints = Array.from({ length: endpoints }, (_, index) => {
    const generation = index % 100 === round % 100 ? round : 0
    const address = `10.${generation % 256}.${index >> 8}.${index & 255}`
    return {
      healthStatus: HealthStatus.HEALTHY,
      hostIdentifier: {
        case: 'endpoint' as const,
        value: {
          address: {
            address: {
              case: 'socketAddress' as const,
              value: { address, portSpecifier: { case: 'portValue' as const, value: 8080 } },
            },
          },
        },
      },
    }
  })
  return create(ClusterLoadAssignmentSchema, { clusterName: 'big', endpoints: [{ locality: { zone: 'a' }, lbEndpoints }] })
}

server.set(listenerMessage('big'), routeMessage('big', 'big'), clusterMessage('big'), assignment())
process.stdout.write(`${server.port}\n`)
setInterval(() => {
  round++
  server.set(assignment())
}, intervalMs)
