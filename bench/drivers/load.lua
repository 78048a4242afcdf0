-- One request, again and again; what was seen is printed as one line of JSON.
-- wrk ... -s load.lua URL -- BODY_FILE [NAME VALUE]...

function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method = "POST"
   wrk.body = file:read("*all")
   file:close()
   for i = 2, #args, 2 do
      wrk.headers[args[i]] = args[i + 1]
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.timeout
   io.write(string.format(
      'bench: {"duration_us": %d, "answers": %d, "refused": %d, "failed": %d, "p50_us": %d, "p99_us": %d}\n',
      summary.duration, summary.requests, errors.status, failed,
      latency:percentile(50), latency:percentile(99)))
end
