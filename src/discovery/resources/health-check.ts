import type { GrpcCheck, HealthCheckConfig, HttpCheck, StatusRange, TcpCheck } from '../../policies/health-check.ts'
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.ts'
import type {
  HealthCheck,
  HealthCheck_GrpcHealthCheck,
  HealthCheck_HttpHealthCheck,
  HealthCheck_Payload,
} from '../gen/envoy/config/core/v3/health_check_pb.ts'
import type { Int64Range } from '../gen/envoy/type/v3/range_pb.ts'
import { RequestMethod } from '../gen/tables.ts'
import { optionalDurationMs } from './duration.ts'
import { enumName } from './enum-name.ts'
import { decodeHeaderMutations } from './header-mutations.ts'
import type { Problems } from './problems.ts'

/** Decodes the health checks of a cluster; `undefined`: none. Envoy, too, takes one at most. */
export function decodeHealthChecks(cluster: Cluster, problems: Problems): HealthCheckConfig | undefined {
  const { healthChecks: messages, commonLbConfig } = cluster
  const [message] = messages
  const ignoresNewHosts = commonLbConfig?.ignoreNewHostsUntilFirstHc ?? false
  if (messages.length > 1) problems.addAt('health_checks', `must be one at most, got ${messages.length}`)
  return message === undefined ? undefined : decodeHealthCheck(message, ignoresNewHosts, problems.at('health_checks', 0))
}

function decodeHealthCheck(message: HealthCheck, ignoresNewHosts: boolean, problems: Problems): HealthCheckConfig {
  const ms = (value: HealthCheck['interval'], field: string) => optionalDurationMs(value, 'positive', problems, field)
  const jitter = (value: HealthCheck['interval'], field: string) =>
    optionalDurationMs(value, 'non-negative', problems, field) ?? 0
  for (const field of ['timeout', 'interval', 'unhealthyThreshold', 'healthyThreshold'] as const)
    if (message[field] === undefined) problems.addAt(field.replace('Threshold', '_threshold'), 'is required')
  const intervalMs = ms(message.interval, 'interval') ?? 0
  const noTrafficIntervalMs = ms(message.noTrafficInterval, 'no_traffic_interval') ?? 60_000
  const unhealthyIntervalMs = ms(message.unhealthyInterval, 'unhealthy_interval') ?? intervalMs
  return {
    timeoutMs: ms(message.timeout, 'timeout') ?? 0,
    intervalMs,
    unhealthyThreshold: message.unhealthyThreshold ?? 1,
    healthyThreshold: message.healthyThreshold ?? 1,
    initialJitterMs: jitter(message.initialJitter, 'initial_jitter'),
    intervalJitterMs: jitter(message.intervalJitter, 'interval_jitter'),
    intervalJitterPercent: message.intervalJitterPercent,
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: ms(message.noTrafficHealthyInterval, 'no_traffic_healthy_interval') ?? noTrafficIntervalMs,
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: ms(message.unhealthyEdgeInterval, 'unhealthy_edge_interval') ?? unhealthyIntervalMs,
    healthyEdgeIntervalMs: ms(message.healthyEdgeInterval, 'healthy_edge_interval') ?? intervalMs,
    reusesConnection: message.reuseConnection ?? true,
    ignoresNewHosts,
    check: decodeChecker(message, problems),
  }
}

function decodeChecker({ healthChecker }: HealthCheck, problems: Problems): HttpCheck | GrpcCheck | TcpCheck {
  switch (healthChecker.case) {
    case 'httpHealthCheck':
      return decodeHttp(healthChecker.value, problems.at('http_health_check'))
    case 'grpcHealthCheck':
      return decodeGrpc(healthChecker.value, problems.at('grpc_health_check'))
    case 'tcpHealthCheck': {
      const { send, receive } = healthChecker.value
      const at = problems.at('tcp_health_check')
      return {
        kind: 'tcp',
        send: send === undefined ? '' : hexOf(send, at.at('send')),
        receive: receive.map((payload, index) => hexOf(payload, at.at('receive', index))),
      }
    }
  }
  problems.add(healthChecker.case === undefined ? 'names no check' : 'custom_health_check is not supported')
  return { kind: 'tcp', send: '', receive: [] }
}

function decodeHttp(message: HealthCheck_HttpHealthCheck, problems: Problems): HttpCheck {
  problems.required('path', message.path)
  if (message.send !== undefined || message.receive.length > 0) problems.add('send and receive are not supported')
  if (message.serviceNameMatcher !== undefined) problems.addAt('service_name_matcher', 'is not supported')
  const ranges = (given: readonly Int64Range[]): StatusRange[] =>
    given.map(({ start, end }) => ({ start: Number(start), end: Number(end) }))
  return {
    kind: 'http',
    host: message.host,
    path: message.path,
    method: message.method === RequestMethod.METHOD_UNSPECIFIED ? 'GET' : enumName(RequestMethod, message.method),
    headers: decodeHeaders(message, problems),
    expectedStatuses: message.expectedStatuses.length === 0 ? [{ start: 200, end: 201 }] : ranges(message.expectedStatuses),
    retriableStatuses: ranges(message.retriableStatuses),
  }
}

/** What a check sends of its own may be removed or replaced; `%COMMANDS%` about a call have no meaning here, and are sent as they are. */
function decodeHeaders(message: HealthCheck_HttpHealthCheck, problems: Problems): string[] {
  const { requestHeadersToAdd, requestHeadersToRemove } = message
  const fields = { requestHeadersToAdd, requestHeadersToRemove, responseHeadersToAdd: [], responseHeadersToRemove: [] }
  const { requestAdd, requestRemove } = decodeHeaderMutations(fields, problems)
  const hasOwnAgent = requestRemove.includes('user-agent') || requestAdd.some(({ name }) => name === 'user-agent')
  return [
    ...(hasOwnAgent ? [] : ['user-agent', 'inmesh/health-check']),
    ...requestAdd.flatMap(({ name, value }) => [name, value]),
  ]
}

function decodeGrpc({ serviceName, authority, initialMetadata }: HealthCheck_GrpcHealthCheck, problems: Problems): GrpcCheck {
  const fields = { requestHeadersToRemove: [], responseHeadersToAdd: [], responseHeadersToRemove: [] }
  const { requestAdd } = decodeHeaderMutations({ ...fields, requestHeadersToAdd: initialMetadata }, problems)
  return { kind: 'grpc', service: serviceName, host: authority, metadata: requestAdd.map(({ name, value }) => ({ name, value })) }
}

/** Text of a payload is hexadecimal already. */
function hexOf({ payload }: HealthCheck_Payload, problems: Problems): string {
  if (payload.case === 'binary') return Buffer.from(payload.value).toString('hex')
  const text = payload.value ?? ''
  if (!/^([0-9a-f]{2})+$/i.test(text)) problems.addAt('text', `must be hexadecimal, got ${JSON.stringify(text)}`)
  return text
}
