import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from 'inmesh/gen/envoy/service/discovery/v3/discovery_pb'
import type { AdsServer } from '../../src/xds/ads-server.ts'
import type { XdsProtocol } from '../../src/xds/ads-stream-host.ts'
import type { GrpcCall, GrpcCallListener, PeerIdentity } from '../../src/xds/grpc-call.ts'
import { clusterType, endpointType, listenerType, routeType } from '../../src/xds/resource-type.ts'
import type { StatusCode } from '../../src/xds/status-code.ts'

/** A response in few words. `names` are those of its resources in order; `absent` of those said not to exist. */
export interface Received {
  readonly type: string
  readonly names: readonly string[]
  readonly absent: readonly string[]
  readonly nonce: string
  readonly version: string
}

const short = new Map([
  [clusterType, 'CDS'],
  [endpointType, 'EDS'],
  [listenerType, 'LDS'],
  [routeType, 'RDS'],
])

/** Type URLs by the short names the tests speak in. */
export const typeUrls = { CDS: clusterType, EDS: endpointType, LDS: listenerType, RDS: routeType } as const

/** A client without a socket: it plays one stream of an {@link AdsServer}. */
export class FakeClient implements GrpcCall {
  readonly peer = '127.0.0.1:1'
  readonly protocol: XdsProtocol
  congested = false
  ended: { readonly code: StatusCode; readonly message: string } | undefined
  readonly frames: Uint8Array[] = []
  readonly #listener: GrpcCallListener
  #read = 0

  readonly peerIdentity: PeerIdentity | undefined

  /** @param identity SPIFFE ID of its certificate; default none */
  constructor(server: AdsServer, protocol: XdsProtocol, identity?: string) {
    this.protocol = protocol
    this.peerIdentity =
      identity === undefined
        ? undefined
        : { spiffeId: identity, serial: '01', notBeforeMs: 0, notAfterMs: Number.MAX_SAFE_INTEGER }
    this.#listener = server.connect(protocol, this)
  }

  write(frame: Uint8Array): void {
    this.frames.push(frame)
  }

  end(code: StatusCode, message: string): void {
    this.ended ??= { code, message }
  }

  /** Sends a SotW request. */
  ask(request: MessageInitShape<typeof DiscoveryRequestSchema>): void {
    this.#listener.onMessage(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, request)))
  }

  /** Sends a delta request. */
  askDelta(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    this.#listener.onMessage(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request)))
  }

  /** Sends bytes that need not be a request. */
  sendRaw(bytes: Uint8Array): void {
    this.#listener.onMessage(bytes)
  }

  /** Reads what arrived since the last call. */
  take(): Received[] {
    const fresh = this.frames.slice(this.#read)
    this.#read = this.frames.length
    return fresh.map(frame => (this.protocol === 'delta' ? decodeDelta(frame.subarray(5)) : decodeSotw(frame.subarray(5))))
  }

  /** Reads what arrived and puts it as `CDS a,b -c`. */
  lines(): string[] {
    return this.take().map(show)
  }

  /** The first resource of the first delta response. */
  decodeFirstResource() {
    const [frame] = this.frames
    const resource = frame && fromBinary(DeltaDiscoveryResponseSchema, frame.subarray(5)).resources[0]
    if (!resource) throw new Error('nothing was received')
    return resource
  }

  drain(): void {
    this.congested = false
    this.#listener.onDrain()
  }

  hangUp(): void {
    this.#listener.onClose()
  }
}

/** `CDS a,b -c`: resources, then names said not to exist. */
export function show({ type, names, absent }: Received): string {
  return [type, names.join(','), ...absent.map(name => `-${name}`)].filter(Boolean).join(' ')
}

function decodeDelta(bytes: Uint8Array): Received {
  const { typeUrl, resources, removedResources, nonce, systemVersionInfo } = fromBinary(DeltaDiscoveryResponseSchema, bytes)
  const names = resources.map(({ name }) => name)
  return { type: short.get(typeUrl) ?? typeUrl, names, absent: removedResources, nonce, version: systemVersionInfo }
}

function decodeSotw(bytes: Uint8Array): Received {
  const response = fromBinary(DiscoveryResponseSchema, bytes)
  const names = response.resources.map(({ value }) => firstString(value))
  // The generated types are older than `resource_errors`.
  const absent = (response.$unknown ?? []).filter(({ no }) => no === 7).map(({ data }) => errorName(data))
  return {
    type: short.get(response.typeUrl) ?? response.typeUrl,
    names,
    absent,
    nonce: response.nonce,
    version: response.versionInfo,
  }
}

/** The string in field 1, which is the name in all four resource types. */
function firstString(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes)
  reader.tag()
  return reader.string()
}

function errorName(lengthPrefixed: Uint8Array): string {
  const error = new BinaryReader(new BinaryReader(lengthPrefixed).bytes())
  error.tag()
  return firstString(error.bytes())
}
