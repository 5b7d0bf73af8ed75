import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { freePorts } from './free-ports.ts'

/** The ports that another process takes. */
async function portsOfAnother(count: number): Promise<readonly number[]> {
  const module = JSON.stringify(new URL('free-ports.ts', import.meta.url))
  const script = `import { freePorts } from ${module}; console.log(JSON.stringify(await freePorts(${count})))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  return JSON.parse(await text(child.stdout))
}

test('ports are given once, by whatever process', async () => {
  const ports = [...(await freePorts(200)), ...(await freePorts(200)), ...(await portsOfAnother(200))]
  assert.equal(new Set(ports).size, 600)
})

test('ports are none that the kernel gives to anybody', async () => {
  const anybody = createServer().listen(0, '127.0.0.1')
  await once(anybody, 'listening')
  const address = anybody.address()
  anybody.close()
  const highest = Math.max(...(await freePorts(10)))
  assert.ok(typeof address === 'object' && address !== null && highest < address.port)
})
