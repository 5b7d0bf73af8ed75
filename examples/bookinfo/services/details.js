// PORT=9080 node --import inmesh/register details.js
import { createServer } from 'node:http'

// The demo makes this instance slow, and fast again.
let delayMs = 0
process.on('message', pace => {
  delayMs = pace === 'slow' ? 2000 : 0
  process.send(pace)
})

createServer((request, response) => {
  const id = new URL(request.url, 'http://details').pathname.split('/').pop()
  setTimeout(() => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ id, author: 'William Shakespeare', year: 1595, instance: process.env.INSTANCE }))
  }, delayMs)
}).listen(Number(process.env.PORT ?? 9080), '127.0.0.1')
