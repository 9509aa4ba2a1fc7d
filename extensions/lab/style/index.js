import './base.css';
import './pipeline.css';
import './experiments.css';
import './explain.css';
import './recording.css';
