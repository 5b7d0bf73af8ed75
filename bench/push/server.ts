// The control plane under test in `bench/push.ts`: CLUSTERS clusters with ten endpoints each. Prints its address, waits for a line
// on standard input, then changes one assignment RATE times a second.
import { createInterface } from 'node:readline'
import { create } from '@bufbuild/protobuf'
import { AdsServer, GrpcServer, silentLogger, systemClock } from '@inmesh/control-plane'
import { ClusterSchema } from 'inmesh/gen/envoy/config/cluster/v3/cluster_pb'
import { ClusterLoadAssignmentSchema } from 'inmesh/gen/envoy/config/endpoint/v3/endpoint_pb'

const [clusterCount = 100, rate = 5] = process.argv.slice(2).map(Number)
const names = Array.from({ length: clusterCount }, (_, index) => `outbound|8080||service-${index}.default.svc.cluster.local`)

const cluster = (name: string) =>
  create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: 3 },
    edsClusterConfig: { edsConfig: { configSourceSpecifier: { case: 'ads', value: {} } } },
  })

/** The host name of the first endpoint says when the change was made, in ns of the monotonic clock. */
const assignment = (clusterName: string, stamp: string) =>
  create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [
      {
        lbEndpoints: Array.from({ length: 10 }, (_, index) => ({
          hostIdentifier: {
            case: 'endpoint' as const,
            value: {
              hostname: index === 0 ? stamp : '',
              address: {
                address: {
                  case: 'socketAddress' as const,
                  value: { address: `10.1.2.${index + 1}`, portSpecifier: { case: 'portValue' as const, value: 8080 } },
                },
              },
            },
          },
        })),
      },
    ],
  })

const now = () => `at=${process.hrtime.bigint().toString().padStart(20, '0')};`
const clusters = new Map(names.map(name => [name, cluster(name)]))
const assignments = new Map(names.map(name => [name, assignment(name, '')]))
const resources = new Map<string, typeof clusters | typeof assignments>([
  [`type.googleapis.com/${ClusterSchema.typeName}`, clusters],
  [`type.googleapis.com/${ClusterLoadAssignmentSchema.typeName}`, assignments],
])

let revision = 0
const source = { viewOf: () => 'all', resourcesOf: () => ({ revision: String(revision), resources }) }
const options = { clock: systemClock, logger: silentLogger }
const ads = new AdsServer({ ...options, source, debounceMs: 0, connectsPerSecond: 0 })
const server = new GrpcServer({ ...options, handlers: ads.handlers() })
process.stdout.write(`${await server.listen('127.0.0.1', 0)}\n`)

createInterface(process.stdin).once('line', () => {
  setInterval(() => {
    const name = names[revision % names.length] ?? ''
    revision += 1
    assignments.set(name, assignment(name, now()))
    ads.update()
  }, 1000 / rate)
})
process.stdin.once('end', () => process.exit())
