import type { RequestListener, Server } from 'node:http'
import type { Http2Server } from 'node:http2'
import type { ConfigSource, MeshConfig } from '../discovery/model/mesh-config.ts'
import type { XdsConfigSource, XdsStatus } from '../discovery/xds-config-source.ts'
import { MeshError } from '../errors.ts'
import type { ErrorRateBreaker, ErrorRateBreakerOptions } from '../policies/error-rate-breaker.ts'
import { type LoadBalancerFactory, registerLoadBalancer } from '../policies/load-balancing/custom.ts'
import type { AuditLoggerFactory } from '../policies/rbac/audit-logger.ts'
import { registerAuditLogger } from '../policies/rbac/audit-logger-registry.ts'
import type { TokenRetryBudgetOptions } from '../policies/retry-budget.ts'
import { type Runtime, systemRuntime, type Timer } from '../runtime.ts'
import type { Identities } from '../security/identities.ts'
import { addAdminServices } from '../server/admin-services.ts'
import { DownstreamSecurity } from '../server/downstream-security.ts'
import { filterFactories } from '../server/filter-factories.ts'
import type { GrpcServer, GrpcWorkload, ServeGrpcOptions } from '../server/grpc-server.ts'
import { Http2Registration } from '../server/http2-registration.ts'
import { Inbound } from '../server/inbound.ts'
import { createMeshServer, type MeshServer, type ServerEnvironment, ServerRegistration } from '../server/mesh-server.ts'
import { RequestGate } from '../server/request-gate.ts'
import type { ServerGateEnvironment } from '../server/server-gate.ts'
import { accessLogFrom } from '../telemetry/access-log.ts'
import { MeshTelemetry } from '../telemetry/create-telemetry.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { ClusterCalls } from './cluster-calls.ts'
import { ClusterManager } from './cluster-manager.ts'
import { DataPlane } from './data-plane.ts'
import { type DnsLookup, systemLookup } from './dns-resolver.ts'
import { type ExplainRequest, type Explanation, explain } from './explain.ts'
import { type Channel, type GrpcClientOptions, type GrpcClientType, grpcClientOn, plainChannel } from './grpc/grpc-client.ts'
import { grpcJs } from './grpc/grpc-js.ts'
import { authorityOf, MeshChannel, type MeshChannelOptions } from './grpc/mesh-channel.ts'
import { createFetch } from './http/fetch.ts'
import { currentDispatcher, type Dispatcher } from './http/global-dispatcher.ts'
import { MeshDispatcher, type OutboundPolicy } from './http/mesh-dispatcher.ts'
import { LoadStats } from './load-stats.ts'
import { type MeshEventListener, type MeshEventName, MeshEvents } from './mesh-events.ts'
import { type HostRule, MeshHosts, parseMeshHosts } from './mesh-hosts.ts'
import { type MeshSnapshot, snapshotOf } from './mesh-snapshot.ts'
import { type FoundSource, type SourceOptions, sourceFromOptions } from './source-from-options.ts'
import type { Target } from './target.ts'
import { TimerWheel } from './timer-wheel.ts'
import { UpstreamSecurity } from './upstream-tls.ts'
import { XdsRegistrar } from './xds-registrar.ts'

/** Options of {@link createMesh}. Everything has a default, most of it from the environment. */
export interface MeshOptions extends SourceOptions {
  /** Which hosts are the mesh's: `host`, `host:port`, `*.suffix`, `*`. Default: `INMESH_HOSTS`, else by the shape of the name. */
  readonly hosts?: readonly string[]
  /** What becomes of calls to other hosts. Default: `INMESH_OUTBOUND_POLICY`, else `allow-any`. */
  readonly outboundPolicy?: OutboundPolicy
  /** Failures of the mesh's own become the answers a sidecar gives. Default: `INMESH_LOCAL_REPLIES`, else false: they are errors. */
  readonly localReplies?: boolean
  /** Clock, randomness and logger. */
  readonly runtime?: Partial<Runtime>
  /** Default: counts in memory, spans through the OpenTelemetry API, and the access log that `INMESH_ACCESS_LOG` names. */
  readonly telemetry?: Telemetry
  /** Whether {@link createMesh} waits for the hosts named without a wildcard; default true. */
  readonly waitsForHosts?: boolean
  /** Takes the calls to hosts outside the mesh. Default: the global dispatcher as it is now. */
  readonly previous?: Dispatcher
  /** Resolves the names of DNS clusters. Default: the operating system. */
  readonly lookup?: DnsLookup
  readonly limits?: MeshLimits
  /** Opens a cluster whose error rate is too high, whatever its configuration says. Default: none does. */
  readonly errorRateBreaker?: ErrorRateBreakerOptions
  /** Limits retries by the number of requests to a cluster, beside what its configuration allows. Default: nothing does. */
  readonly retryBudget?: TokenRetryBudgetOptions
  /**
   * Types of audit loggers, by which a control plane has decisions of authorization told (gRFC A59), beside the one that writes to standard output.
   * They are this process's, and not only this mesh's.
   */
  readonly auditLoggers?: readonly AuditLoggerFactory[]
  /** Types of balancers, by which a cluster may be balanced (`load_balancing_policy`; gRFC A52). They are this process's, as the loggers are. */
  readonly loadBalancers?: readonly LoadBalancerFactory[]
  /** Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Bounds of a mesh. */
export interface MeshLimits {
  /** Authorities watched at once; default 1,000. */
  readonly maxOrigins?: number
  /** Requests that wait for configuration at once; default 1,000. */
  readonly maxPending?: number
  /** How long a request waits for the configuration of its host; default 20,000, above the 15 s after which a silent server means "none". */
  readonly configTimeoutMs?: number
  /** How long an attempt may be silent where its route and listener say nothing (Envoy's stream idle timeout); default 300,000; 0 is for ever. */
  readonly idleTimeoutMs?: number
  /** How long {@link createMesh} waits for the hosts named without a wildcard; default 10,000. */
  readonly startTimeoutMs?: number
  /** Bytes of a streamed body kept for another attempt; default 65,536. */
  readonly maxReplayBytes?: number
  /** Bytes of a discarded answer read to keep its connection; default 16,384. */
  readonly maxDiscardBytes?: number
}

/** One mesh: the calls of this process, under one configuration. */
export interface Mesh extends AsyncDisposable {
  /** WHATWG fetch through the mesh. */
  readonly fetch: typeof globalThis.fetch
  /** For every undici API, and for `setGlobalDispatcher`. */
  readonly dispatcher: Dispatcher
  /**
   * A gRPC channel through the mesh, for the option `channelOverride` of any grpc-js client.
   *
   * @param target `xds:///name`, `dns:///host:port`, `host:port` or a name
   */
  channel(target: string, options?: MeshChannelOptions): Channel
  /** A client of a generated or loaded class on {@link Mesh.channel}. */
  grpcClient<C>(type: GrpcClientType<C>, target: string, options?: GrpcClientOptions): C
  /** Where the configuration comes from; `null` when the mesh is disabled. */
  readonly source: ConfigSource | null
  /** What was counted here; `null` when the mesh is disabled. */
  readonly telemetry: MeshTelemetry | null
  /** An HTTP server whose requests run inside their trace, and which registers itself while it listens. `app` is any request listener. */
  createServer(app: RequestListener): MeshServer
  /**
   * Binds a server of grpc-js and puts it into the mesh: its calls run inside their trace, it registers itself, and it answers
   * `grpc.health.v1.Health`.
   *
   * @throws Error when the address cannot be bound
   */
  serveGrpc(server: GrpcServer, options?: ServeGrpcOptions): Promise<GrpcWorkload>
  /**
   * Adds the admin services of gRPC (gRFC A38) to a server, which need not be one of the mesh: the client status discovery service (A40), which
   * tells every resource that was received and how it stands, without any secret; channelz; and what else is registered with grpc-js. They tell
   * strangers much: let the server listen on loopback, or check who calls.
   *
   * @throws Error when the server has a client status discovery service already, or is started
   */
  addAdminServices(server: GrpcServer): void
  /** Whether a gRPC target (`xds:///name`, `host:port`) is known to be the mesh's. */
  isMeshTarget(target: string): boolean
  /** Makes a server that exists already one of the mesh: it registers while it listens. Its requests go through {@link serve}. */
  adopt(server: Server): ServerRegistration
  /** The same of an HTTP/2 server that listens, also of the one under a gRPC server. */
  adoptHttp2(server: Http2Server): Http2Registration
  /** Serves requests of adopted servers. */
  readonly inbound: Inbound
  /** Where a call would go, and why. */
  explain(request: ExplainRequest): Explanation
  /** What is known now: authorities, clusters, endpoints. */
  snapshot(): MeshSnapshot
  /** Returns what ends the subscription. */
  on<E extends MeshEventName>(event: E, listener: MeshEventListener<E>): () => void
  /** How the link to the control plane stands; `null` without one. */
  status(): XdsStatus | null
  /** Ends the stream and the connections once what is in flight is done. */
  close(): Promise<void>
}

/**
 * Makes a mesh. Resolves when the first configuration is usable: at once with a file, a cache or when no host is named; with hosts
 * named, when each is resolved.
 *
 * @throws MeshError `MESH_ERR_BOOTSTRAP` or `MESH_ERR_CONFIG` when the configuration is wrong, `MESH_ERR_IDENTITY` when there will be no
 *   certificate, `MESH_ERR_CONFIG_TIMEOUT` when not one of the named hosts could be resolved in time
 */
export async function createMesh(options: MeshOptions = {}): Promise<Mesh> {
  const env = options.env ?? process.env
  const previous = options.previous ?? currentDispatcher()
  const runtime = { ...systemRuntime, ...options.runtime }
  // Before the first resource is read.
  for (const factory of options.auditLoggers ?? []) registerAuditLogger(factory)
  for (const factory of options.loadBalancers ?? []) registerLoadBalancer(factory)
  if (isOn(env.INMESH_DISABLED)) return new DisabledMesh(previous, env, runtime)
  const found = await sourceFromOptions(options, env, runtime)
  const breakers = options.errorRateBreaker === undefined ? null : await loadBreakers()
  const mesh = new RunningMesh(found, options, env, runtime, previous, breakers)
  const startTimeoutMs = options.limits?.startTimeoutMs ?? 10_000
  try {
    await identified(found.identities.ready(), startTimeoutMs, runtime)
    if (options.waitsForHosts !== false) await mesh.ready(startTimeoutMs)
  } catch (error) {
    await mesh.close()
    throw error
  }
  return mesh
}

/** Waits for the first certificate, but not for ever: who this process is may be known in a moment, and that it never will ends the wait. */
async function identified(ready: Promise<void>, timeoutMs: number, { clock, logger }: Runtime): Promise<void> {
  let timer: Timer | undefined
  const late = new Promise<void>(resolve => {
    const onLate = () => {
      logger.warn(`this workload has no certificate after ${timeoutMs} ms: calls that need one fail until it is there`)
      resolve()
    }
    timer = clock.setTimeout(onLate, timeoutMs, true)
  })
  await Promise.race([ready, late]).finally(() => timer?.cancel())
}

/** opossum is loaded only for those who ask for it. */
async function loadBreakers(): Promise<typeof ErrorRateBreaker> {
  return (await import('../policies/error-rate-breaker.ts')).ErrorRateBreaker
}

class RunningMesh implements Mesh {
  readonly fetch: typeof globalThis.fetch
  readonly dispatcher: MeshDispatcher
  readonly source: ConfigSource
  readonly telemetry: MeshTelemetry
  readonly inbound: Inbound
  readonly #servers: ServerEnvironment
  readonly #identities: Identities
  readonly #xds: XdsConfigSource | null
  readonly #plane: DataPlane
  readonly #hosts: MeshHosts
  readonly #wheel: TimerWheel
  readonly #runtime: Runtime
  readonly #events = new MeshEvents()
  #closing: Promise<void> | null = null

  constructor(
    found: FoundSource,
    options: MeshOptions,
    env: Environment,
    runtime: Runtime,
    previous: Dispatcher,
    breakers: typeof ErrorRateBreaker | null,
  ) {
    const { limits = {}, lookup = systemLookup, retryBudget } = options
    this.source = found.source
    this.#xds = found.kind === 'xds' ? found.source : null
    const own = options.telemetry instanceof MeshTelemetry ? options.telemetry : meshTelemetry(env, runtime)
    this.telemetry = own
    const { identities } = found.identities
    this.#identities = identities
    const gate: ServerGateEnvironment = {
      ...runtime,
      source: found.source,
      security: new DownstreamSecurity(runtime.clock, identities),
      requests: new RequestGate(runtime.random, runtime.logger),
      factories: filterFactories({ ...runtime, calls: () => new ClusterCalls(this.#plane) }),
      telemetry: own,
      requiresListener: found.kind !== 'xds' || found.bootstrap.requiresServerListener || !identities.isEmpty,
    }
    this.inbound = new Inbound(own, gate.requests)
    this.#servers = serverEnvironment(this.inbound, runtime, this.#xds, gate, env)
    const telemetry = options.telemetry ?? own
    this.#runtime = runtime
    this.#wheel = new TimerWheel(runtime.clock)
    this.#hosts = new MeshHosts(hostRule(found, options.hosts ?? parseMeshHosts(env.INMESH_HOSTS)))
    const loads = this.#xds === null ? null : new LoadStats(runtime.clock)
    this.#plane = new DataPlane({
      source: found.source,
      clusters: new ClusterManager({
        runtime,
        lookup,
        security: new UpstreamSecurity(runtime.clock, identities),
        onEvent: event => this.#events.emit(event.kind, event),
        onHealth: event => this.#events.emit('health', event),
        ...(loads === null ? undefined : { loads }),
        ...(breakers === null ? undefined : { errorRateBreaker: () => new breakers(runtime.clock, options.errorRateBreaker) }),
        ...(retryBudget === undefined ? undefined : { retryBudget }),
      }),
      logger: runtime.logger,
      maxPending: limits.maxPending ?? 1000,
      environment: {
        clock: runtime.clock,
        random: runtime.random,
        wheel: this.#wheel,
        telemetry,
        localReplies: options.localReplies ?? isOn(env.INMESH_LOCAL_REPLIES),
        maxReplayBytes: limits.maxReplayBytes ?? 65_536,
        maxDiscardBytes: limits.maxDiscardBytes ?? 16_384,
        idleTimeoutMs: limits.idleTimeoutMs ?? 300_000,
        configTimeoutMs: limits.configTimeoutMs ?? 20_000,
      },
    })
    this.dispatcher = new MeshDispatcher({
      plane: this.#plane,
      hosts: this.#hosts,
      outboundPolicy: options.outboundPolicy ?? readPolicy(env.INMESH_OUTBOUND_POLICY),
      previous,
      maxOrigins: limits.maxOrigins ?? 1000,
      close: () => this.close(),
    })
    if (loads !== null) this.#xds?.reportLoads(loads)
    this.fetch = createFetch(this.dispatcher)
    this.#plane.onChange(config => this.#events.emit('config', config))
    for (const event of ['connected', 'disconnected', 'nack'] as const)
      this.#xds?.on(event, value => this.#events.emit(event, value))
  }

  /** Waits for the hosts that are named without a wildcard. */
  async ready(timeoutMs: number): Promise<void> {
    const targets = this.#hosts.exactNames.map(name => this.dispatcher.watch(name))
    // A control plane that cannot be reached may be there in a moment.
    const isOpen = ({ router, failure }: Target) =>
      router === null && (failure === null || failure.code === 'MESH_ERR_CONFIG_TIMEOUT')
    if (!targets.some(isOpen)) return
    await new Promise<void>((resolve, reject) => {
      const unsubscribe = this.#plane.onChange(() => {
        if (!targets.some(isOpen)) end(resolve)
      })
      const timer = this.#runtime.clock.setTimeout(
        () => {
          const open = targets.filter(isOpen)
          const names = open.map(({ authority }) => authority).join(', ')
          const message = `no configuration for ${names} within ${timeoutMs} ms: ${reasonOf(open)}`
          if (open.length < targets.length) {
            this.#runtime.logger.warn(message)
            end(resolve)
          } else {
            end(() => reject(new MeshError('MESH_ERR_CONFIG_TIMEOUT', message, { flag: 'NFCF', statusCode: 503 })))
          }
        },
        timeoutMs,
        true,
      )
      const end = (how: () => void) => {
        timer.cancel()
        unsubscribe()
        how()
      }
    })
  }

  channel(target: string, options?: MeshChannelOptions): Channel {
    return new MeshChannel(this.#plane, authority => this.dispatcher.watch(authority), target, options)
  }

  grpcClient<C>(type: GrpcClientType<C>, target: string, options: GrpcClientOptions = {}): C {
    return grpcClientOn(this, type, target, options)
  }

  isMeshTarget(target: string): boolean {
    if (target.startsWith('xds:')) return true
    const url = `http://${authorityOf(target)}`
    // An address, a socket, or what grpc-js itself is to refuse.
    if (/^(ipv4|ipv6|unix|unix-abstract):/.test(target) || !URL.canParse(url)) return false
    const { hostname, port } = new URL(url)
    return this.#hosts.owner(hostname.replace(/^\[|\]$/g, ''), port === '' ? '80' : port) === 'mesh'
  }

  createServer(app: RequestListener): MeshServer {
    return createMeshServer(app, this.#servers)
  }

  async serveGrpc(server: GrpcServer, options: ServeGrpcOptions = {}): Promise<GrpcWorkload> {
    const { serveGrpc } = await import('../server/grpc-server.ts')
    return serveGrpc(server, options, this.#servers, this.telemetry, grpcJs())
  }

  addAdminServices(server: GrpcServer): void {
    addAdminServices(server, this.#xds, grpcJs())
  }

  adopt(server: Server): ServerRegistration {
    return new ServerRegistration(server, this.#servers)
  }

  adoptHttp2(server: Http2Server): Http2Registration {
    return new Http2Registration(server, this.#servers)
  }

  explain(request: ExplainRequest): Explanation {
    return explain(request, this.dispatcher.ownerOf(new URL(request.url).origin), this.#runtime.random)
  }

  snapshot(): MeshSnapshot {
    return snapshotOf(this.#plane)
  }

  on<E extends MeshEventName>(event: E, listener: MeshEventListener<E>): () => void {
    return this.#events.on(event, listener)
  }

  status(): XdsStatus | null {
    return this.#xds?.status() ?? null
  }

  close(): Promise<void> {
    this.#closing ??= this.#plane.close().finally(() => {
      this.#identities.close()
      this.#wheel.close()
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** What `INMESH_DISABLED` leaves: calls go where they would have gone. */
class DisabledMesh implements Mesh {
  readonly fetch: typeof globalThis.fetch
  readonly dispatcher: Dispatcher
  readonly source = null
  readonly telemetry = null
  readonly inbound: Inbound
  readonly #telemetry: MeshTelemetry
  readonly #servers: ServerEnvironment

  constructor(previous: Dispatcher, env: Environment, runtime: Runtime) {
    this.dispatcher = previous
    this.fetch = createFetch(previous)
    this.#telemetry = meshTelemetry(env, runtime)
    this.inbound = new Inbound(this.#telemetry)
    this.#servers = serverEnvironment(this.inbound, runtime, null, null, env)
  }

  channel(target: string, options?: MeshChannelOptions): Channel {
    return plainChannel(target, options)
  }

  grpcClient<C>(type: GrpcClientType<C>, target: string, options: GrpcClientOptions = {}): C {
    return grpcClientOn(this, type, target, options)
  }

  createServer(app: RequestListener): MeshServer {
    return createMeshServer(app, this.#servers)
  }

  async serveGrpc(server: GrpcServer, options: ServeGrpcOptions = {}): Promise<GrpcWorkload> {
    const { serveGrpc } = await import('../server/grpc-server.ts')
    return serveGrpc(server, options, this.#servers, this.#telemetry, grpcJs())
  }

  isMeshTarget(): boolean {
    return false
  }

  addAdminServices(server: GrpcServer): void {
    addAdminServices(server, null, grpcJs())
  }

  adopt(server: Server): ServerRegistration {
    return new ServerRegistration(server, this.#servers)
  }

  adoptHttp2(server: Http2Server): Http2Registration {
    return new Http2Registration(server, this.#servers)
  }

  explain(request: ExplainRequest): Explanation {
    return explain(request, null, Math.random)
  }

  snapshot(): MeshSnapshot {
    return { authorities: [], clusters: [] }
  }

  on(): () => void {
    return () => {}
  }

  status(): null {
    return null
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

type Environment = Readonly<Record<string, string | undefined>>

function meshTelemetry(env: Environment, runtime: Runtime): MeshTelemetry {
  const service = env.INMESH_SERVICE || env.OTEL_SERVICE_NAME || ''
  return new MeshTelemetry({ service, runtime, accessLog: accessLogFrom(env.INMESH_ACCESS_LOG) })
}

function serverEnvironment(
  inbound: Inbound,
  { clock }: Runtime,
  xds: XdsConfigSource | null,
  gate: ServerGateEnvironment | null,
  env: Environment,
): ServerEnvironment {
  const service = env.INMESH_SERVICE
  const registrar = xds === null || service === undefined || service === '' ? null : new XdsRegistrar(xds, service)
  return { inbound, clock, registrar, gate, address: env.INMESH_ADDRESS }
}

function hostRule(found: FoundSource, patterns: readonly string[] | undefined): HostRule {
  if (patterns !== undefined) return { kind: 'patterns', patterns }
  return found.kind === 'static' ? { kind: 'static', domains: found.domains } : { kind: 'shape' }
}

/** Why these are not resolved. They have the same control plane, so mostly the same reason. */
function reasonOf(open: readonly Target[]): string {
  const reasons = open.map(({ authority, failure }) =>
    failure === null ? 'the control plane has not answered' : failure.message.replace(`host ${authority}: `, ''),
  )
  return [...new Set(reasons)].join('; ')
}

function readPolicy(value: string | undefined): OutboundPolicy {
  if (value === undefined || value === '' || value === 'allow-any') return 'allow-any'
  if (value === 'registry-only') return 'registry-only'
  throw new MeshError('MESH_ERR_INVALID_ARG', `INMESH_OUTBOUND_POLICY: must be allow-any or registry-only, got ${value}`)
}

function isOn(value: string | undefined): boolean {
  return value === '1' || value === 'true'
}

export type { MeshConfig }
