// A client of @grpc/grpc-js-xds by xds:///: every line of standard input is a JSON object {"calls": [...]}, whose calls are made at
// once, and every call is answered by a line on standard output. A process of its own, since it installs itself and stays.
import { createInterface } from 'node:readline'
import { Client, credentials } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import { makeCall } from '../support/make-call.ts'
import type { ClientCall } from '../support/xds-client.ts'

register()
const clients = new Map<string, Client>()

function clientOf(target: string): Client {
  const client = clients.get(target) ?? new Client(target, credentials.createInsecure())
  clients.set(target, client)
  return client
}

async function answer(call: ClientCall): Promise<void> {
  process.stdout.write(`${JSON.stringify(await makeCall(clientOf(call.target), call))}\n`)
}

const lines = createInterface(process.stdin)
lines.on('line', line => {
  const { calls }: { readonly calls: readonly ClientCall[] } = JSON.parse(line)
  for (const call of calls) void answer(call)
})
lines.on('close', () => process.exit())
