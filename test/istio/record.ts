// Asks a real Envoy, configured by Istio's own discovery server, everything in cases.ts, and writes its answers to fixture.json.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Backends } from './backends.ts'
import { cases, hostOf } from './cases.ts'
import { allDocuments } from './documents.ts'
import { startIstiod, startSidecar } from './istio.ts'
import { askProxy, observe } from './observe.ts'

const backends = await Backends.start()
const istiod = await startIstiod(allDocuments(cases, backends.ports))
const sidecar = await startSidecar(istiod.address)
try {
  const answers: Record<string, unknown> = {}
  for (const [index, aCase] of cases.entries()) answers[aCase.name] = await observe(askProxy, backends, aCase, hostOf(index))
  writeFileSync(join(import.meta.dirname, 'fixture.json'), `${JSON.stringify(answers, null, 2)}\n`)
  process.stdout.write(`${cases.length} cases recorded\n`)
} finally {
  await sidecar.close()
  await istiod.close()
  backends.close()
}
