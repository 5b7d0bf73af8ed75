// A client of @grpc/grpc-js-xds: every line of standard input is a JSON object {"parallel": N, "calls": [...]}, and every call is
// answered by a line on standard output. It has a process of its own, since it registers itself for all of it.
import { createInterface } from 'node:readline'
import { Client, credentials, Metadata, type StatusObject } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import type { ClientCall } from '../support/xds-client.ts'

register()
const clients = new Map<string, Client>()

async function make({ id, target, method, metadata, deadlineMs }: ClientCall): Promise<void> {
  const client = clients.get(target) ?? new Client(target, credentials.createInsecure())
  clients.set(target, client)
  const sent = new Metadata()
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
  const began = performance.now()
  const write = (text: string) => Buffer.from(text)
  const read = (bytes: Buffer) => bytes.toString()
  const call = client.makeUnaryRequest(method, write, read, id, sent, { deadline: Date.now() + deadlineMs }, () => {})
  const { promise, resolve } = Promise.withResolvers<StatusObject>()
  call.on('status', resolve)
  const { code, details, metadata: trailers } = await promise
  const version = String(trailers.get('x-version')[0] ?? '')
  const answer = { id, code, message: details, version, peer: call.getPeer(), elapsedMs: performance.now() - began }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

for await (const line of createInterface(process.stdin)) {
  const { parallel, calls }: { readonly parallel: number; readonly calls: readonly ClientCall[] } = JSON.parse(line)
  const left = calls.values()
  const work = async () => {
    for (const call of left) await make(call)
  }
  void Promise.all(Array.from({ length: parallel }, work))
}
