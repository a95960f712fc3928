-- wrk: posts the bodies of the file BODIES, one a line, in turn. With CHECK set it looks into every answer,
-- which costs the generator as much as a request, so measured runs go without.
local bodies, requests, errors = os.getenv("BODIES"), {}, 0
local at = 0

function init()
  local headers = { ["Content-Type"] = "application/json", ["Accept"] = "application/json, text/event-stream",
                    ["MCP-Protocol-Version"] = "2025-11-25" }
  for body in io.lines(bodies) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

if os.getenv("CHECK") then
  local threads = {}
  function setup(thread) threads[#threads + 1] = thread; thread:set("wrong", 0) end
  function response(status, _, body)
    if status ~= 200 or not body:find('"result"', 1, true) or body:find('"isError":true', 1, true) then
      wrong = wrong + 1
    end
  end
  function done()
    local all = 0
    for _, thread in ipairs(threads) do all = all + thread:get("wrong") end
    print("wrong answers: " .. all)
  end
end
