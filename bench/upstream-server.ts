import { createServer } from 'node:http'
import { json1k, text100k } from './upstream.ts'

// The upstream where there is no nginx. Prints its port.
const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  if (request.url === '/echo') request.pipe(response)
  else if (request.url === '/1k') response.end(json1k)
  else if (request.url === '/100k') response.end(text100k)
  else response.end('{}')
})
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.stdout.write(`${address.port}\n`)
})
