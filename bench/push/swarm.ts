// Many xDS clients in one process: `swarm.ts ADDRESS CLIENTS CLUSTERS`. Each has a connection of its own, subscribes to all clusters
// and to each assignment by name, and acknowledges. Prints a line when all have everything; on a line of standard input prints the
// propagation times seen since as JSON and ends.
import { type ClientHttp2Stream, connect } from 'node:http2'
import { createInterface } from 'node:readline'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { quantile } from '../median.ts'

const [address = '', ...numbers] = process.argv.slice(2)
const [clientCount = 200, clusterCount = 100] = numbers.map(Number)

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const clusterType = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const endpointType = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment'
const marker = Buffer.from('at=')
const names = Array.from({ length: clusterCount }, (_, index) => `outbound|8080||service-${index}.default.svc.cluster.local`)

/** Propagation times in ms. */
const times: number[] = []
let ready = 0

class Client {
  readonly #stream: ClientHttp2Stream
  readonly #onReady: () => void
  #rest: Buffer | undefined
  #assignments = 0

  constructor(id: string, onReady: () => void) {
    this.#onReady = onReady
    const session = connect(`http://${address}`)
    session.on('error', fail)
    this.#stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' })
    this.#stream.on('error', fail)
    this.#stream.on('trailers', trailers =>
      fail(new Error(`stream ended: ${trailers['grpc-status']} ${trailers['grpc-message']}`)),
    )
    this.#stream.on('data', chunk => this.#receive(chunk))
    this.#send(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(nodeOf(id)), clusterType)
    const subscribe = new BinaryWriter()
    for (const name of names) subscribe.tag(3, WireType.LengthDelimited).string(name)
    this.#send(subscribe, endpointType)
  }

  #send(writer: BinaryWriter, typeUrl: string): void {
    const message = writer.tag(2, WireType.LengthDelimited).string(typeUrl).finish()
    const frame = Buffer.allocUnsafe(5 + message.length)
    frame[0] = 0
    frame.writeUInt32BE(message.length, 1)
    frame.set(message, 5)
    this.#stream.write(frame)
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    while (bytes.length >= 5) {
      const end = 5 + bytes.readUInt32BE(1)
      if (bytes.length < end) break
      this.#onResponse(bytes.subarray(5, end))
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes.length > 0 ? bytes : undefined
  }

  #onResponse(bytes: Buffer): void {
    const arrived = process.hrtime.bigint()
    const reader = new BinaryReader(bytes)
    let typeUrl = ''
    let nonce = ''
    let resources = 0
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag()
      if (field === 4) typeUrl = reader.string()
      else if (field === 5) nonce = reader.string()
      else {
        if (field === 2) resources += 1
        reader.skip(wireType)
      }
    }
    this.#send(new BinaryWriter().tag(6, WireType.LengthDelimited).string(nonce), typeUrl)
    if (typeUrl !== endpointType) return
    if (this.#assignments < clusterCount) {
      this.#assignments += resources
      if (this.#assignments >= clusterCount) this.#onReady()
      return
    }
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) {
      const sent = BigInt(bytes.toString('latin1', at + marker.length, at + marker.length + 20))
      times.push(Number(arrived - sent) / 1e6)
    }
  }
}

function nodeOf(id: string): Uint8Array {
  return new BinaryWriter().tag(1, WireType.LengthDelimited).string(id).finish()
}

function fail(error: Error): void {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

// A few at a time: what is measured is the pushes, not the storm.
const lane = async (first: number, step: number) => {
  for (let index = first; index < clientCount; index += step) {
    await new Promise<void>(resolve => new Client(`swarm-${index}`, resolve))
    ready += 1
  }
}
await Promise.all(Array.from({ length: 20 }, (_, first) => lane(first, 20)))
process.stdout.write(`${JSON.stringify({ ready })}\n`)

createInterface(process.stdin).once('line', () => {
  const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map(fraction => quantile(times, fraction))
  process.stdout.write(`${JSON.stringify({ received: times.length, p50, p90, p99, max })}\n`)
  process.exit()
})
