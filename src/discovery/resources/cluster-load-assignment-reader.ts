import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { clusterLoadAssignmentPolicyType, clusterLoadAssignmentType } from '../message-types.ts'
import type { ClusterLoadAssignment, EndpointHealthCheck, LbEndpoint, Locality } from '../model/endpoint.ts'
import { setOwn } from '../protobuf/field-codec.ts'
import { AssignmentBuilder } from './assignment-builder.ts'
import {
  decodeClusterLoadAssignment,
  decodeDropOverloads,
  defaultOverprovisioningFactor,
  endpointHealthCheck,
  healthStatuses,
  noAddresses,
} from './cluster-load-assignment.ts'
import { EndpointBytes, EndpointCursor } from './endpoint-bytes.ts'
import type { Problems } from './problems.ts'

/** Endpoints read between two yields: well under a millisecond of work. */
const endpointsPerSlice = 256

/** From what each assignment was read, locality by locality, for the next one of the same name. */
const readFrom = new WeakMap<ClusterLoadAssignment, readonly EndpointBytes[]>()

/** A form that is legal and rare, and left to the generated decoder. */
class RareForm extends Error {}

/**
 * Reads a serialized `ClusterLoadAssignment` straight into the model, yielding between slices: an update of 10,000 endpoints takes
 * a fraction of what the generated decoder does, and never holds the event loop. Endpoints that did not change are those of the assignment before:
 * nothing is made for them, and so nothing is left of them for the garbage collector, whose pauses are what an update costs otherwise.
 *
 * @param bytes must not change any more
 * @param before the assignment of the same name that is in use
 * @throws Error when `bytes` are not a protobuf message
 */
export function* readClusterLoadAssignment(
  bytes: Uint8Array,
  problems: Problems,
  before?: ClusterLoadAssignment,
): Generator<undefined, ClusterLoadAssignment, undefined> {
  const found = problems.found.length
  try {
    return yield* new AssignmentReader(bytes, problems, (before && readFrom.get(before)) ?? []).read()
  } catch (error) {
    if (!(error instanceof RareForm)) throw error
    problems.found.length = found
    return decodeClusterLoadAssignment(clusterLoadAssignmentType.decode(bytes), problems)
  }
}

interface Address {
  readonly address: string
  readonly port: number
}

const nowhere: Locality = { region: '', zone: '', subZone: '' }
const noAddress: Address = { address: '', port: 0 }

class AssignmentReader {
  readonly #reader: BinaryReader
  #lastMatchKey = ''
  #lastMatch: Readonly<Record<string, string>> = {}
  readonly #problems: Problems
  readonly #builder: AssignmentBuilder
  readonly #bytes: Uint8Array
  readonly #before: readonly EndpointBytes[]
  readonly #localities: EndpointBytes[] = []

  constructor(bytes: Uint8Array, problems: Problems, before: readonly EndpointBytes[]) {
    this.#bytes = bytes
    this.#before = before
    this.#reader = new BinaryReader(bytes, decodeText)
    this.#problems = problems
    this.#builder = new AssignmentBuilder(problems)
  }

  *read(): Generator<undefined, ClusterLoadAssignment, undefined> {
    const reader = this.#reader
    let name = ''
    let dropOverloads: ClusterLoadAssignment['dropOverloads'] = []
    let overprovisioningFactor = defaultOverprovisioningFactor
    let policySeen = false
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      switch (field) {
        case 1:
          name = reader.string()
          break
        case 2:
          yield* this.#readLocality()
          break
        case 4: {
          if (policySeen) throw new RareForm()
          policySeen = true
          const policy = clusterLoadAssignmentPolicyType.decode(reader.bytes())
          dropOverloads = decodeDropOverloads(policy, this.#problems.at('policy'))
          overprovisioningFactor = policy.overprovisioningFactor ?? defaultOverprovisioningFactor
          break
        }
        case 5: // named_endpoints
          throw new RareForm()
        default:
          reader.skip(type, field)
      }
    }
    const assignment = this.#builder.finish(this.#problems.required('cluster_name', name), dropOverloads, overprovisioningFactor)
    readFrom.set(assignment, this.#localities)
    return assignment
  }

  *#readLocality(): Generator<undefined, void, undefined> {
    const reader = this.#reader
    const end = this.#end()
    const read = new EndpointBytes(this.#bytes)
    const { endpoints } = read
    const before = this.#before[this.#localities.length]
    const cursor = before === undefined ? null : new EndpointCursor(before)
    this.#localities.push(read)
    let locality: Locality | undefined
    let weight: number | undefined
    let priority = 0
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      switch (field) {
        case 1:
          if (locality !== undefined) throw new RareForm()
          locality = this.#readLocalityName()
          break
        case 2: {
          const endpointEnd = this.#end()
          const start = reader.pos
          const known = cursor === null ? undefined : cursor.find(this.#bytes, start, endpointEnd)
          const endpoint = known ?? this.#readEndpoint(endpointEnd)
          reader.pos = endpointEnd
          this.#builder.checkEndpoint(endpoint, endpoints.length)
          read.add(endpoint, start, endpointEnd)
          if (endpoints.length % endpointsPerSlice === 0) yield
          break
        }
        case 3:
          if (weight !== undefined) throw new RareForm()
          weight = this.#readWrappedUint32()
          break
        case 5:
          priority = reader.uint32()
          break
        case 7: // load_balancer_endpoints
        case 8: // leds_cluster_locality_config
          throw new RareForm()
        default:
          reader.skip(type, field)
      }
    }
    this.#builder.addLocality(locality ?? nowhere, priority, weight, endpoints)
  }

  #readLocalityName(): Locality {
    const reader = this.#reader
    const end = this.#end()
    let region = ''
    let zone = ''
    let subZone = ''
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 1) region = reader.string()
      else if (field === 2) zone = reader.string()
      else if (field === 3) subZone = reader.string()
      else reader.skip(type, field)
    }
    return { region, zone, subZone }
  }

  #readEndpoint(end: number): LbEndpoint {
    const reader = this.#reader
    let address: Address | undefined
    let hostname = ''
    let additionalAddresses: Address[] | undefined
    let status = 0
    let weight: number | undefined
    let metadata = noMetadata
    let healthCheck: EndpointHealthCheck | undefined
    let healthCheckSeen = false
    let endpointSeen = false
    let metadataSeen = false
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 1) {
        if (endpointSeen) throw new RareForm()
        endpointSeen = true
        const endpointEnd = this.#end()
        while (reader.pos < endpointEnd) {
          const [inner, innerType] = reader.tag()
          if (inner === 1) {
            if (address !== undefined) throw new RareForm()
            address = this.#readAddress()
          } else if (inner === 2) {
            if (healthCheckSeen) throw new RareForm()
            healthCheckSeen = true
            healthCheck = this.#readHealthCheck()
          } else if (inner === 3) {
            hostname = reader.string()
          } else if (inner === 4) {
            additionalAddresses ??= []
            additionalAddresses.push(this.#readAdditionalAddress())
          } else {
            reader.skip(innerType, inner)
          }
        }
      } else if (field === 2) {
        status = reader.int32()
      } else if (field === 3) {
        if (metadataSeen) throw new RareForm()
        metadataSeen = true
        metadata = this.#readMetadata()
      } else if (field === 4) {
        if (weight !== undefined) throw new RareForm()
        weight = this.#readWrappedUint32()
      } else if (field === 5) {
        throw new RareForm() // endpoint_name
      } else {
        reader.skip(type, field)
      }
    }
    const { address: host, port } = address ?? noAddress
    return {
      address: host,
      port,
      additionalAddresses: additionalAddresses ?? noAddresses,
      hostname,
      health: healthStatuses[status] ?? 'unknown',
      weight: weight ?? 1,
      metadata: metadata.lb,
      transportSocketMatch: metadata.transportSocketMatch,
      healthCheck,
    }
  }

  #readHealthCheck(): EndpointHealthCheck | undefined {
    const reader = this.#reader
    const end = this.#end()
    let port = 0
    let hostname = ''
    let isDisabled = false
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 1) port = reader.uint32()
      else if (field === 2) hostname = reader.string()
      else if (field === 3)
        throw new RareForm() // address
      else if (field === 4) isDisabled = reader.bool()
      else reader.skip(type, field)
    }
    return endpointHealthCheck('', port, hostname, isDisabled)
  }

  #readAdditionalAddress(): Address {
    const reader = this.#reader
    const end = this.#end()
    let address: Address | undefined
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field !== 1) {
        reader.skip(type, field)
        continue
      }
      if (address !== undefined) throw new RareForm()
      address = this.#readAddress()
    }
    return address ?? noAddress
  }

  #readAddress(): Address {
    const reader = this.#reader
    const end = this.#end()
    let address: Address | undefined
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 1 && address === undefined) address = this.#readSocketAddress()
      else if (field > 3) reader.skip(type, field)
      else throw new RareForm() // A pipe, an internal address, or more than one.
    }
    return address ?? noAddress
  }

  #readSocketAddress(): Address {
    const reader = this.#reader
    const end = this.#end()
    let address = ''
    let port = 0
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 2) address = reader.string()
      else if (field === 3) port = reader.uint32()
      else if (field === 1 || field === 4)
        throw new RareForm() // A protocol or a named port.
      else reader.skip(type, field)
    }
    return { address, port }
  }

  /** String values of `filter_metadata["envoy.lb"]` and `["envoy.transport_socket_match"]`. */
  #readMetadata(): EndpointMetadata {
    const reader = this.#reader
    const end = this.#end()
    let lb: Record<string, string> | undefined
    let transportSocketMatch: Record<string, string> | undefined
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field !== 1) {
        reader.skip(type, field)
        continue
      }
      const entryEnd = this.#end()
      let key = ''
      while (reader.pos < entryEnd) {
        const [inner, innerType] = reader.tag()
        if (inner === 1) {
          key = reader.string()
        } else if (inner === 2 && key === 'envoy.lb') {
          if (lb !== undefined) throw new RareForm()
          lb = this.#readStruct()
        } else if (inner === 2 && key === 'envoy.transport_socket_match') {
          if (transportSocketMatch !== undefined) throw new RareForm()
          transportSocketMatch = this.#readStruct()
        } else if (inner === 2 && key === '') {
          throw new RareForm() // The value before its key.
        } else {
          reader.skip(innerType, inner)
        }
      }
    }
    return { lb, transportSocketMatch: transportSocketMatch && this.#shared(transportSocketMatch) }
  }

  /** Most endpoints of a cluster have the same. */
  #shared(match: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const key = JSON.stringify(match)
    if (key !== this.#lastMatchKey) {
      this.#lastMatchKey = key
      this.#lastMatch = match
    }
    return this.#lastMatch
  }

  #readStruct(): Record<string, string> | undefined {
    const reader = this.#reader
    const end = this.#end()
    let strings: Record<string, string> | undefined
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field !== 1) {
        reader.skip(type, field)
        continue
      }
      const entryEnd = this.#end()
      let key = ''
      let value: string | undefined
      while (reader.pos < entryEnd) {
        const [inner, innerType] = reader.tag()
        if (inner === 1) key = reader.string()
        else if (inner === 2) value = this.#readStringValue()
        else reader.skip(innerType, inner)
      }
      if (value === undefined) continue
      strings ??= {}
      if (Object.hasOwn(strings, key)) throw new RareForm()
      setOwn(strings, key, value)
    }
    return strings
  }

  #readStringValue(): string | undefined {
    const reader = this.#reader
    const end = this.#end()
    let value: string | undefined
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 3) {
        value = reader.string()
      } else {
        value = undefined
        reader.skip(type, field)
      }
    }
    return value
  }

  #readWrappedUint32(): number {
    const reader = this.#reader
    const end = this.#end()
    let value = 0
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (field === 1 && type === WireType.Varint) value = reader.uint32()
      else reader.skip(type, field)
    }
    return value
  }

  /** Where the sub-message ends whose length comes next. */
  #end(): number {
    const reader = this.#reader
    const length = reader.uint32()
    const end = reader.pos + length
    if (end > reader.len) throw new RangeError('premature EOF')
    return end
  }
}

interface EndpointMetadata {
  readonly lb: Readonly<Record<string, string>> | undefined
  readonly transportSocketMatch: Readonly<Record<string, string>> | undefined
}

const noMetadata: EndpointMetadata = { lb: undefined, transportSocketMatch: undefined }

const utf8 = new TextDecoder('utf-8', { fatal: true })

// Names and addresses are short ASCII, for which a native decoder costs more than the work.
function decodeText(bytes: Uint8Array): string {
  const { length } = bytes
  for (let at = 0; at < length; at++) if ((bytes[at] ?? 0) > 127) return utf8.decode(bytes)
  return Buffer.prototype.latin1Slice.call(bytes, 0, length)
}
