import {
  type ClientTls,
  type ConnectionPool,
  maxSniBytes,
  type OutlierDetection,
  type PortPolicy,
  type RetryBudget,
  type TrafficPolicy,
} from '../model/destination-rule.ts'
import { readDurationMs, readDurationOrZeroMs } from './duration.ts'
import { readPort } from './names.ts'
import { readLoadBalancer } from './read-load-balancer.ts'
import type { Value } from './value.ts'

const maxInt32 = 0x7fff_ffff
const maxUint32 = 0xffff_ffff

/** Reads a TrafficPolicy of a rule or of a subset. */
export function readTrafficPolicy(value: Value): TrafficPolicy | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields(
    'connectionPool',
    'loadBalancer',
    'outlierDetection',
    'tls',
    'portLevelSettings',
    'retryBudget',
    'tunnel',
    'proxyProtocol',
  )
  if (Object.values(fields).every(each => each.isAbsent)) value.error('must have at least one setting')
  for (const name of ['tunnel', 'proxyProtocol'] as const) {
    if (!fields[name].isAbsent) fields[name].error('is not supported')
  }
  const ports = new Map<number, PortPolicy>()
  for (const item of fields.portLevelSettings.items()) {
    const each = item.required().fields('port', 'connectionPool', 'loadBalancer', 'outlierDetection', 'tls')
    const port = each.port.required().isAbsent ? undefined : readPort(each.port.fields('number').number.required())
    const { port: _, ...settings } = each
    if (Object.values(settings).every(setting => setting.isAbsent)) item.error('must have at least one setting')
    const policy = readPortPolicy(each)
    // Of two for one port, the first counts.
    if (port !== undefined && !ports.has(port)) ports.set(port, policy)
  }
  return { ...readPortPolicy(fields), retryBudget: readRetryBudget(fields.retryBudget), ports }
}

function readPortPolicy(
  fields: Readonly<Record<'connectionPool' | 'loadBalancer' | 'outlierDetection' | 'tls', Value>>,
): PortPolicy {
  return {
    connectionPool: readConnectionPool(fields.connectionPool),
    loadBalancer: readLoadBalancer(fields.loadBalancer, !fields.outlierDetection.isAbsent),
    outlierDetection: readOutlierDetection(fields.outlierDetection),
    tls: readTls(fields.tls),
  }
}

function readConnectionPool(value: Value): ConnectionPool | undefined {
  if (value.isAbsent) return undefined
  const { tcp, http } = value.fields('tcp', 'http')
  if (tcp.isAbsent && http.isAbsent) value.error('must have tcp or http')
  const t = tcp.fields('maxConnections', 'connectTimeout', 'tcpKeepalive', 'maxConnectionDuration', 'idleTimeout')
  const h = http.fields(
    'http1MaxPendingRequests',
    'http2MaxRequests',
    'maxRequestsPerConnection',
    'maxRetries',
    'idleTimeout',
    'h2UpgradePolicy',
    'useClientProtocol',
    'maxConcurrentStreams',
    'http2KeepAlive',
  )
  const upgradeToHttp2 = h.h2UpgradePolicy.asOneOf(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']) === 'UPGRADE'
  const useClientProtocol = h.useClientProtocol.asBoolean() ?? false
  if (useClientProtocol && upgradeToHttp2) h.useClientProtocol.error('excludes h2UpgradePolicy UPGRADE')
  else if (useClientProtocol) h.useClientProtocol.warn('has no effect: the protocol is that of the port')
  return {
    maxConnections: t.maxConnections.asInteger(0, maxInt32),
    connectTimeoutMs: readDurationMs(t.connectTimeout),
    maxConnectionDurationMs: readDurationMs(t.maxConnectionDuration),
    idleTimeoutMs: readDurationMs(h.idleTimeout) ?? readDurationOrZeroMs(t.idleTimeout),
    tcpKeepalive: readTcpKeepalive(t.tcpKeepalive),
    http1MaxPendingRequests: h.http1MaxPendingRequests.asInteger(0, maxInt32),
    http2MaxRequests: h.http2MaxRequests.asInteger(0, maxInt32),
    maxRequestsPerConnection: h.maxRequestsPerConnection.asInteger(0, maxInt32),
    maxRetries: h.maxRetries.asInteger(0, maxInt32),
    maxConcurrentStreams: h.maxConcurrentStreams.asInteger(0, maxInt32),
    upgradeToHttp2,
    http2KeepAlive: readHttp2KeepAlive(h.http2KeepAlive),
  }
}

function readTcpKeepalive(value: Value): ConnectionPool['tcpKeepalive'] {
  if (value.isAbsent) return undefined
  const { probes, time, interval } = value.fields('probes', 'time', 'interval')
  return { probes: probes.asInteger(0, maxUint32), timeMs: readDurationMs(time), intervalMs: readDurationMs(interval) }
}

function readHttp2KeepAlive(value: Value): ConnectionPool['http2KeepAlive'] {
  if (value.isAbsent) return undefined
  const { interval, timeout } = value.fields('interval', 'timeout')
  const [intervalMs, timeoutMs] = [readDurationMs(interval.required()), readDurationMs(timeout.required())]
  return intervalMs === undefined || timeoutMs === undefined ? undefined : { intervalMs, timeoutMs }
}

function readRetryBudget(value: Value): RetryBudget | undefined {
  if (value.isAbsent) return undefined
  const { percent, minRetryConcurrency, budgetInterval } = value.fields('percent', 'minRetryConcurrency', 'budgetInterval')
  if (!budgetInterval.isAbsent) budgetInterval.warn('has no effect: the budget follows the requests of the moment')
  return { percent: percent.asNumber(0, 100) ?? 20, minRetryConcurrency: minRetryConcurrency.asInteger(0, maxUint32) }
}

function readOutlierDetection(value: Value): OutlierDetection | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields(
    'consecutive5xxErrors',
    'consecutiveGatewayErrors',
    'consecutiveErrors',
    'splitExternalLocalOriginErrors',
    'consecutiveLocalOriginFailures',
    'interval',
    'baseEjectionTime',
    'maxEjectionPercent',
    'minHealthPercent',
    'outlierDetectionHttpErrorCodes',
  )
  const split = fields.splitExternalLocalOriginErrors.asBoolean() ?? false
  const localFailures = fields.consecutiveLocalOriginFailures.asInteger(0, maxUint32)
  if (!split && localFailures) fields.consecutiveLocalOriginFailures.error('needs splitExternalLocalOriginErrors: true')
  if (!fields.consecutiveErrors.isAbsent) {
    fields.consecutiveErrors.asInteger(-maxInt32, maxInt32)
    fields.consecutiveErrors.warn('is deprecated and has no effect; use consecutiveGatewayErrors or consecutive5xxErrors')
  }
  if (!fields.outlierDetectionHttpErrorCodes.isAbsent)
    fields.outlierDetectionHttpErrorCodes.error('is not supported: every 5xx counts as an error')
  return {
    consecutive5xxErrors: fields.consecutive5xxErrors.asInteger(0, maxUint32),
    consecutiveGatewayErrors: fields.consecutiveGatewayErrors.asInteger(0, maxUint32),
    splitExternalLocalOriginErrors: split,
    consecutiveLocalOriginFailures: localFailures,
    intervalMs: readDurationMs(fields.interval),
    baseEjectionTimeMs: readDurationMs(fields.baseEjectionTime),
    maxEjectionPercent: fields.maxEjectionPercent.asInteger(0, 100) ?? 0,
    minHealthPercent: fields.minHealthPercent.asInteger(0, 100) ?? 0,
  }
}

/** With the identity of the workload; it has certificates of its own for nothing else. */
function readMeshTls(fields: Readonly<Record<'sni' | 'subjectAltNames' | MeshTlsRefused, Value>>): ClientTls {
  for (const name of meshTlsRefused) if (!fields[name].isAbsent) fields[name].error('must not be there with ISTIO_MUTUAL')
  return {
    mode: 'mesh',
    sni: readSni(fields.sni),
    subjectAltNames: fields.subjectAltNames.items().map(item => item.asString() ?? ''),
  }
}

function readSni(value: Value): string {
  const sni = value.asString() ?? ''
  if (Buffer.byteLength(sni) > maxSniBytes) value.error(`must be at most ${maxSniBytes} bytes`)
  return sni
}

const meshTlsRefused = [
  'caCertificates',
  'clientCertificate',
  'privateKey',
  'credentialName',
  'insecureSkipVerify',
  'caCrl',
] as const
type MeshTlsRefused = (typeof meshTlsRefused)[number]

/** A mode or option that would need a certificate of ours, or give up verification, is refused: never a weaker connection. */
function readTls(value: Value): ClientTls | undefined {
  if (value.isAbsent) return undefined
  const fields = value.fields(
    'mode',
    'sni',
    'subjectAltNames',
    'caCertificates',
    'clientCertificate',
    'privateKey',
    'credentialName',
    'insecureSkipVerify',
    'caCrl',
  )
  const mode = fields.mode.asOneOf(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']) ?? 'DISABLE'
  if (mode === 'ISTIO_MUTUAL') return readMeshTls(fields)
  if (mode === 'DISABLE') return { mode: 'disable' }
  if (mode !== 'SIMPLE') fields.mode.error(`${mode} is not supported: use ISTIO_MUTUAL, with the identities of the mesh`)
  if (fields.insecureSkipVerify.asBoolean()) fields.insecureSkipVerify.error('is not supported: the peer is always verified')
  for (const name of ['clientCertificate', 'privateKey', 'credentialName', 'caCrl'] as const) {
    if (fields[name].asString()) fields[name].error('is not supported')
  }
  return {
    mode: 'simple',
    sni: readSni(fields.sni),
    subjectAltNames: fields.subjectAltNames.items().map(item => item.asString() ?? ''),
    caCertificates: fields.caCertificates.asString() ?? '',
  }
}
