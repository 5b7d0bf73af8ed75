// Asks a real Envoy, configured by Istio's own discovery server, everything in gateway-cases.ts, and writes its answers to
// gateway-fixture.json; where the caller is in another namespace than Envoy it is our client that is asked.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Backends } from './backends.ts'
import { gatewayCases } from './gateway-cases.ts'
import { gatewayDocuments } from './gateway-documents.ts'
import { observeProxy, startClients } from './gateway-observe.ts'
import { startIstiod } from './istio.ts'

const backends = await Backends.start()
const istiod = await startIstiod(gatewayDocuments(gatewayCases, backends.ports))
const clients = await startClients(istiod.address, backends)
try {
  const proxy = await observeProxy(istiod.address, backends)
  const answers: Record<string, unknown> = {}
  for (const [index, aCase] of gatewayCases.entries())
    answers[aCase.name] = proxy.get(aCase) ?? (await clients.observe(aCase, index))
  writeFileSync(join(import.meta.dirname, 'gateway-fixture.json'), `${JSON.stringify(answers, null, 2)}\n`)
  process.stdout.write(`${gatewayCases.length} cases of the Gateway API recorded\n`)
} finally {
  await clients.close()
  await istiod.close()
  backends.close()
}
