import type { GrpcCheck, HealthCheckConfig, HttpCheck, StatusRange, TcpCheck } from '../../policies/health-check.ts'
import type { HeaderValueOption } from '../gen/envoy/config/core/v3/base_pb.ts'
import { RequestMethod, RequestMethodSchema } from '../gen/envoy/config/core/v3/base_pb.ts'
import type {
  HealthCheck,
  HealthCheck_HttpHealthCheck,
  HealthCheck_Payload,
} from '../gen/envoy/config/core/v3/health_check_pb.ts'
import type { Int64Range } from '../gen/envoy/type/v3/range_pb.ts'
import { optionalDurationMs } from './duration.ts'
import { enumName } from './enum-name.ts'
import type { Problems } from './problems.ts'

/** Decodes the health checks of a cluster; `undefined`: none. Envoy, too, takes one at most. */
export function decodeHealthChecks(messages: readonly HealthCheck[], problems: Problems): HealthCheckConfig | undefined {
  const [message] = messages
  if (messages.length > 1) problems.addAt('health_checks', `must be one at most, got ${messages.length}`)
  return message === undefined ? undefined : decodeHealthCheck(message, problems.at('health_checks', 0))
}

function decodeHealthCheck(message: HealthCheck, problems: Problems): HealthCheckConfig {
  const ms = (value: HealthCheck['interval'], field: string) => optionalDurationMs(value, 'positive', problems, field)
  const jitter = (value: HealthCheck['interval'], field: string) =>
    optionalDurationMs(value, 'non-negative', problems, field) ?? 0
  for (const field of ['timeout', 'interval', 'unhealthyThreshold', 'healthyThreshold'] as const)
    if (message[field] === undefined) problems.addAt(field.replace('Threshold', '_threshold'), 'is required')
  const intervalMs = ms(message.interval, 'interval') ?? 0
  const unhealthyIntervalMs = ms(message.unhealthyInterval, 'unhealthy_interval') ?? intervalMs
  return {
    timeoutMs: ms(message.timeout, 'timeout') ?? 0,
    intervalMs,
    unhealthyThreshold: message.unhealthyThreshold ?? 1,
    healthyThreshold: message.healthyThreshold ?? 1,
    initialJitterMs: jitter(message.initialJitter, 'initial_jitter'),
    intervalJitterMs: jitter(message.intervalJitter, 'interval_jitter'),
    intervalJitterPercent: message.intervalJitterPercent,
    noTrafficIntervalMs: ms(message.noTrafficInterval, 'no_traffic_interval') ?? 60_000,
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: ms(message.unhealthyEdgeInterval, 'unhealthy_edge_interval') ?? unhealthyIntervalMs,
    healthyEdgeIntervalMs: ms(message.healthyEdgeInterval, 'healthy_edge_interval') ?? intervalMs,
    check: decodeChecker(message, problems),
  }
}

function decodeChecker({ healthChecker }: HealthCheck, problems: Problems): HttpCheck | GrpcCheck | TcpCheck {
  switch (healthChecker.case) {
    case 'httpHealthCheck':
      return decodeHttp(healthChecker.value, problems.at('http_health_check'))
    case 'grpcHealthCheck':
      return { kind: 'grpc', service: healthChecker.value.serviceName, authority: healthChecker.value.authority }
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
    method: message.method === RequestMethod.METHOD_UNSPECIFIED ? 'GET' : enumName(RequestMethodSchema, message.method),
    headers: message.requestHeadersToAdd.flatMap(({ header }: HeaderValueOption) =>
      header === undefined ? [] : [header.key.toLowerCase(), header.value],
    ),
    expectedStatuses: message.expectedStatuses.length === 0 ? [{ start: 200, end: 201 }] : ranges(message.expectedStatuses),
    retriableStatuses: ranges(message.retriableStatuses),
  }
}

/** Text of a payload is hexadecimal already. */
function hexOf({ payload }: HealthCheck_Payload, problems: Problems): string {
  if (payload.case === 'binary') return Buffer.from(payload.value).toString('hex')
  const text = payload.value ?? ''
  if (!/^([0-9a-f]{2})+$/i.test(text)) problems.addAt('text', `must be hexadecimal, got ${JSON.stringify(text)}`)
  return text
}
